"""Which labels are probably wrong, by probabilities from models that have not seen them.

Source: Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021, sections 3.1
(the confident joint) and 3.2 (its off-diagonal rows, ranked by margin).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Suspect(NamedTuple):
    """A row whose label is probably wrong."""

    row: int
    label: int  # as given
    suggested: int  # the class that the model is confident of
    margin: float  # probability of the given label less that of the likeliest other class; -1 is surest


def thresholds(labels: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """(K,) what counts as confident: the mean probability of a class on rows labelled with it; inf without rows."""
    counts = np.bincount(labels, minlength=probs.shape[1])
    own = np.bincount(labels, weights=probs[np.arange(len(labels)), labels], minlength=probs.shape[1])
    return np.where(counts > 0, own / np.maximum(counts, 1), np.inf)


def confident_classes(labels: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """(N,) the likeliest class among those above their threshold; -1 for a row above none."""
    above = probs >= thresholds(labels, probs) - 1e-9
    return np.where(above.any(axis=1), np.where(above, probs, -1.0).argmax(axis=1), -1)


def likely_wrong(labels: np.ndarray, probs: np.ndarray) -> list[Suspect]:
    """The rows that are confidently of another class than their label, the surest first.

    Args:
        labels: (N,) int64, as given.
        probs: (N,K) out-of-fold probabilities; rows that hold NaN (of folds not trained yet) are passed over.

    Raises:
        ValueError: the shapes do not fit.
    """
    if probs.ndim != 2 or len(labels) != len(probs) or (len(labels) and labels.max() >= probs.shape[1]):
        raise ValueError(
            f"{len(labels)} labels do not fit probabilities of shape {probs.shape}; "
            "give one row per label, one column per class."
        )
    rows = np.flatnonzero(np.isfinite(probs).all(axis=1))
    classes = confident_classes(labels[rows], probs[rows])
    suspects = []
    for row, suggested in zip(rows.tolist(), classes.tolist(), strict=True):
        if suggested not in (-1, labels[row]):
            others = np.delete(probs[row], labels[row])
            suspects.append(Suspect(row, int(labels[row]), suggested, float(probs[row, labels[row]] - others.max())))
    return sorted(suspects, key=lambda suspect: (suspect.margin, suspect.row))
