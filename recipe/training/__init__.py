"""The training of one fold: `fold.train_fold(run, fold)` gives a FoldResult."""
