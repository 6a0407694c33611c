"""Linear classifiers of frozen features: `contend.contend(features, labels, classes, folds)` gives the best of them.

What a minute of features is worth: the start of fine-tuning, and what fine-tuning must beat.
"""
