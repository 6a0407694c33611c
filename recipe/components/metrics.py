"""Metrics: what a run is judged by. sklearn where it has them; it is imported when a metric is computed, not before.

A metric is `metric(labels (N,) int, probs (N, K)) -> float` and knows its direction (`higher_is_better`), its range
(`bounds`) and how many decimals to show (`precision`). With settings: `METRICS.build("calibration_error(bins=10)",
labels, probs)`. Those of labels alone, which the board scores by as well, come from protocol/metrics.py; their answer
is the class of the highest probability.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from protocol.errors import UserError
from protocol.language import tr
from protocol.metrics import METRICS as LABEL_METRICS
from protocol.metrics import Metric as LabelMetric
from recipe.registry import Count, Registry

METRICS = Registry(
    "metric",
    accepts="labels (N,), probs (N, K); gives a number",
    facts={"higher_is_better": True, "bounds": (0.0, 1.0), "precision": 4},
)


class MetricError(UserError, ValueError):
    """Labels and probabilities that a metric cannot be computed from; the message says why."""


def metric(
    *, higher_is_better: bool = True, bounds: tuple[float, float] = (0.0, 1.0), precision: int = 4
) -> Callable[[Any], Any]:
    """Decorator: registers a metric with its direction, range and the decimals worth showing."""

    def register(function: Any) -> Any:
        function.higher_is_better, function.bounds, function.precision = higher_is_better, bounds, precision
        return METRICS.register(function)

    return register


def checked(labels: np.ndarray, probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels as int64 and probabilities as float64 with rows that sum to 1.

    Raises:
        MetricError: shapes that do not fit, no rows, a label outside 0..K-1, or a probability that is negative or
        not a number.
    """
    labels, probs = np.asarray(labels).astype(np.int64), np.asarray(probs, dtype=np.float64)
    if probs.ndim != 2 or labels.shape != probs.shape[:1] or not len(labels):
        raise MetricError(
            tr(
                "labels {labels} and probabilities {probs} do not fit: (N,) and (N, K) with N of at "
                "least 1 are needed.",
                labels=labels.shape,
                probs=probs.shape,
            )
        )
    if labels.min() < 0 or labels.max() >= probs.shape[1]:
        raise MetricError(
            tr(
                "labels from {lowest} to {highest} do not fit {columns} columns of probabilities.",
                lowest=labels.min(),
                highest=labels.max(),
                columns=probs.shape[1],
            )
        )
    bad = ~np.isfinite(probs).all(1) | (probs < 0).any(1) | (probs.sum(1) <= 0)
    if bad.any():
        raise MetricError(
            tr(
                "{bad} rows hold probabilities that are negative or not numbers, the first is row {argmax}.",
                bad=bad.sum(),
                argmax=bad.argmax(),
            )
        )
    return labels, probs / probs.sum(1, keepdims=True)


def _of_labels(scored: LabelMetric) -> Callable[[np.ndarray, np.ndarray], float]:
    """A metric of labels as one of probabilities: the answer is the most probable class."""

    def of_probs(labels: np.ndarray, probs: np.ndarray, /) -> float:
        labels, probs = checked(labels, probs)
        return scored.of(labels, probs.argmax(1), probs.shape[1])

    of_probs.__name__, of_probs.__doc__ = scored.name, scored.of.__doc__
    return of_probs


def refuse_unscorable(name: str, labels: np.ndarray, classes: int, fold: int) -> None:
    """Refuse a metric that the labels of a fold's validation rows cannot give, before the fold is trained.

    Raises:
        MetricError: why, with the fold.
    """
    try:
        METRICS[name](labels, np.full((len(labels), classes), 1 / classes))
    except MetricError as error:
        raise MetricError(
            tr(
                "The metric {name} has no value on fold {fold}: {error} Choose fewer folds or another "
                "metric, or add pictures.",
                name=name,
                fold=fold,
                error=error,
            )
        ) from None


for _scored in LABEL_METRICS.values():
    metric(bounds=_scored.bounds)(_of_labels(_scored))


@metric()
def top5(labels: np.ndarray, probs: np.ndarray, /, k: Count = 5) -> float:
    """Share of rows whose label is among the k most probable classes.

    Source: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", 2015, section 4.1.
    Limit: k=1 is accuracy, k >= K is 1.
    """
    labels, probs = checked(labels, probs)
    best = np.argsort(-probs, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(1).mean())


@metric(higher_is_better=False, bounds=(0.0, math.inf))
def log_loss(labels: np.ndarray, probs: np.ndarray, /) -> float:
    """Mean of -log of the label's probability, in nats; a probability of 0 counts as the smallest step above it.

    Source: Good, "Rational Decisions", 1952; sklearn.metrics, log_loss.
    """
    labels, probs = checked(labels, probs)
    own = probs[np.arange(len(labels)), labels]
    return float(-np.log(own.clip(np.finfo(np.float64).eps, 1)).mean())


@metric()
def roc_auc(labels: np.ndarray, probs: np.ndarray, /) -> float:
    """Area under the ROC curve, one class against the rest, mean over the classes that have rows of both sorts.

    Source: Fawcett, "An introduction to ROC analysis", 2006, section 9; sklearn.metrics,
    roc_auc_score(multi_class="ovr").
    """
    from sklearn.metrics import roc_auc_score

    return _one_against_rest(labels, probs, roc_auc_score)


@metric()
def average_precision(labels: np.ndarray, probs: np.ndarray, /) -> float:
    """Area under the precision-recall curve as a sum of steps, one class against the rest; mean over present classes.

    Source: sklearn.metrics, average_precision_score.
    """
    from sklearn.metrics import average_precision_score

    return _one_against_rest(labels, probs, average_precision_score)


def _one_against_rest(labels: np.ndarray, probs: np.ndarray, area: Callable[..., float]) -> float:
    labels, probs = checked(labels, probs)
    present = np.unique(labels)
    if len(present) == 1:
        raise MetricError(
            tr(
                "all {labels} rows have label {present}: an area under a curve needs rows of two classes at least.",
                labels=len(labels),
                present=present[0],
            )
        )
    return float(np.mean([area(labels == label, probs[:, label]) for label in present]))


@metric(higher_is_better=False)
def calibration_error(labels: np.ndarray, probs: np.ndarray, /, bins: Count = 15) -> float:
    """Expected calibration error: |confidence - accuracy| over `bins` intervals of confidence, weighted by rows.

    Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017, section 2.
    Limit: bins=1 is the distance of mean confidence and accuracy.
    """
    labels, probs = checked(labels, probs)
    confidence, right = probs.max(1), probs.argmax(1) == labels
    interval = np.clip(
        np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1
    )  # intervals are open on the left, as in the paper
    gaps = np.bincount(interval, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
