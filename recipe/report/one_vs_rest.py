"""ROC and precision-recall curves of each class against the rest, pooled over all decisions (micro) and averaged over classes (macro).

Source: Fawcett, "An introduction to ROC analysis", 2006, sections 3 and 9; the numbers are sklearn's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

GRID = np.linspace(0, 1, 201)  # on which classes are averaged


@dataclass(frozen=True)
class Curve:
    """A curve and its area; NaN where a class has rows of one sort only."""

    horizontal: np.ndarray
    vertical: np.ndarray
    area: float


UNDEFINED = Curve(np.array([]), np.array([]), float("nan"))


def roc(hits: np.ndarray, scores: np.ndarray) -> Curve:
    """False positive rate and true positive rate of a yes-or-no decision."""
    if hits.all() or not hits.any():
        return UNDEFINED
    false, true, _ = roc_curve(hits, scores)
    return Curve(false, true, float(auc(false, true)))


def precision_recall(hits: np.ndarray, scores: np.ndarray) -> Curve:
    """Recall and precision; the area is the average precision, a sum of steps."""
    if hits.all() or not hits.any():
        return UNDEFINED
    precision, recall, _ = precision_recall_curve(hits, scores)
    return Curve(recall[::-1], precision[::-1], float(average_precision_score(hits, scores)))


@dataclass(frozen=True)
class Curves:
    """The curves of all classes, and what they are together."""

    classes: list[Curve]
    micro: Curve
    macro: Curve


def curves(kind, labels: np.ndarray, probs: np.ndarray) -> Curves:  # type: ignore[no-untyped-def]
    """All curves of one kind (`roc` or `precision_recall`); macro areas are means over the classes that have a curve."""
    hits = labels[:, None] == np.arange(probs.shape[1])
    each = [kind(hits[:, label], probs[:, label]) for label in range(probs.shape[1])]
    known = [curve for curve in each if len(curve.horizontal)]
    if not known:
        return Curves(each, UNDEFINED, UNDEFINED)
    mean = np.mean([np.interp(GRID, curve.horizontal, curve.vertical) for curve in known], axis=0)
    macro = Curve(GRID, mean, float(np.mean([curve.area for curve in known])))
    return Curves(each, kind(hits.ravel(), probs.ravel()), macro)


def thinned(curve: Curve, points: int = 300) -> Curve:
    """At most `points` of a curve's points, evenly along it: the eye sees no difference and the page stays small."""
    length = np.hypot(np.diff(curve.horizontal), np.diff(curve.vertical)).cumsum() if len(curve.horizontal) > points else np.array([])
    if not len(length):
        return curve
    keep = np.unique(np.searchsorted(length, np.linspace(0, length[-1], points)).clip(0, len(curve.horizontal) - 1))
    keep = np.unique(np.r_[0, keep, len(curve.horizontal) - 1])
    return Curve(curve.horizontal[keep], curve.vertical[keep], curve.area)
