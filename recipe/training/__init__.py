"""The training of one fold: `folds.train_folds(run, folds)` gives a FoldResult of each."""
