"""The numbers that the sections of the report show, from labels (N,) and probabilities (N, K) alone.

Confusions in an order that puts confused classes side by side; reliability in bins and after one temperature; the
intervals of a score; ROC and precision-recall curves of each class against the rest, pooled over all decisions (micro)
and averaged over classes (macro).

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017, sections 2 and 4.2 (temperature
scaling); Fawcett, "An introduction to ROC analysis", 2006, sections 3 and 9 (the numbers are sklearn's).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from recipe.components.metrics import MetricError
from recipe.serving.averaging import tempered
from recipe.serving.calibrate import fit_temperature

BINS = 15
NORMAL_95 = 1.959963984540054  # quantile 0.975 of the normal distribution
RESAMPLES = 200
GRID = np.linspace(0, 1, 201)  # on which classes are averaged


@dataclass(frozen=True)
class Pair:
    """Rows of a class that were answered as another."""

    label: int
    answer: int
    rows: int
    share: float  # of the class's rows


def counts(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """(K, K) int64: row = true class, column = answer."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, answers), 1)
    return matrix


def shares(matrix: np.ndarray) -> np.ndarray:
    """Rows divided by their sum; a class without rows stays 0."""
    totals = matrix.sum(axis=1, keepdims=True)
    return matrix / np.maximum(totals, 1)


def order(matrix: np.ndarray) -> np.ndarray:
    """(K,) class numbers such that classes which are confused lie together.

    Average-linkage clustering on 1 - mutual confusion, with the leaf order of the least distance between neighbours.
    Two classes, or a matrix without a confusion, stay as they are.

    Source: Bar-Joseph, Gifford, Jaakkola, "Fast optimal leaf ordering for hierarchical clustering", 2001.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    mutual = shares(matrix) + shares(matrix).T
    np.fill_diagonal(mutual, 0)
    if len(matrix) < 3 or not mutual.any():
        return np.arange(len(matrix))
    distances = 1 - mutual / mutual.max()
    np.fill_diagonal(distances, 0)
    return leaves_list(linkage(squareform(distances, checks=False), "average", optimal_ordering=True))


def pairs(matrix: np.ndarray) -> list[Pair]:
    """All confusions, the most frequent first."""
    relative = shares(matrix)
    found = [
        Pair(label, answer, int(matrix[label, answer]), float(relative[label, answer]))
        for label, answer in np.argwhere(matrix).tolist()
        if label != answer
    ]
    return sorted(found, key=lambda pair: (-pair.rows, -pair.share, pair.label, pair.answer))


@dataclass(frozen=True)
class Reliability:
    """Rows in equal intervals of confidence; NaN where an interval has none."""

    confidence: np.ndarray  # (bins,) mean confidence
    accuracy: np.ndarray  # (bins,) share that is right
    counts: np.ndarray  # (bins,)


def reliability(labels: np.ndarray, probs: np.ndarray, bins: int = BINS) -> Reliability:
    """The intervals are open on the left, as those of `metrics.calibration_error`: their weighted gaps sum to it."""
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    interval = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(interval, minlength=bins)
    safe = np.where(counts, counts, np.nan)
    sums = (np.bincount(interval, weights=weights, minlength=bins) for weights in (confidence, right))
    means = [total / safe for total in sums]
    return Reliability(means[0], means[1], counts)


def cross_fitted(labels: np.ndarray, probs: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(N, K) where the temperature of every part was fitted on the other parts; with one part, on itself.

    Args:
        parts: (N,) part of each row, such as its fold.
    """
    result = np.asarray(probs, np.float64).copy()
    for part in (numbers := np.unique(parts)):
        own = parts == part
        fitted = ~own if len(numbers) > 1 else own
        result[own] = tempered(probs[own], fit_temperature(labels[fitted], probs[fitted]))
    return result


def wilson(right: int, total: int) -> tuple[float, float]:
    """95 % interval of a share.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    Limit: without rows it is (0, 1).
    """
    if total == 0:
        return 0.0, 1.0
    share, z = right / total, NORMAL_95
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def bootstrap(metric: Any, labels: np.ndarray, probs: np.ndarray, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95 % percentile interval of a metric over resampled rows, always the same; NaN where it is never defined.

    Source: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(resamples):
        rows = rng.integers(len(labels), size=len(labels))
        try:
            scores.append(metric(labels[rows], probs[rows]))
        except MetricError:
            continue  # a resample with a single class
    low, high = np.quantile(scores, (0.025, 0.975)) if scores else (np.nan, np.nan)
    return float(low), float(high)


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
    """All curves of one kind (`roc` or `precision_recall`); macro areas are means over classes with a curve."""
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
    length = (
        np.hypot(np.diff(curve.horizontal), np.diff(curve.vertical)).cumsum()
        if len(curve.horizontal) > points
        else np.array([])
    )
    if not len(length):
        return curve
    keep = np.unique(np.searchsorted(length, np.linspace(0, length[-1], points)).clip(0, len(curve.horizontal) - 1))
    keep = np.unique(np.r_[0, keep, len(curve.horizontal) - 1])
    return Curve(curve.horizontal[keep], curve.vertical[keep], curve.area)
