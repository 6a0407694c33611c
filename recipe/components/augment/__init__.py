"""Augmentations: steps on one picture, a module for each kind; `pipeline.Augment(text, size)`."""
