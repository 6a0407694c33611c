"""Choosing how to answer, on out-of-fold rows only; one network in place of the folds: `tuning.tune(runs)`."""
