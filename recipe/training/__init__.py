"""The training of folds: `folds.train_folds(run, folds)` gives a FoldResult of each; under a time limit, minutes.py."""
