"""Whether one way of answering beats another on the same rows beyond chance.

For accuracy the exact test of McNemar: of the rows that one answers right and the other wrong, each side would get
half. For every other metric the paired bootstrap: rows are drawn again and again, and both ways are judged on the same
draws.

Source: McNemar, "Note on the sampling error of the difference between correlated proportions", 1947 (exact form); Efron
and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 16; Dietterich, "Approximate Statistical Tests", 1998,
section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

DRAWS = 1000


@dataclass(frozen=True)
class Comparison:
    """A candidate against the present choice."""

    score: float  # of the candidate, in the metric's own unit
    difference: float  # to the present choice; above 0 is better, whatever the metric's direction
    p: float  # two-sided


def compare(
    metric: Any, labels: np.ndarray, present: np.ndarray, candidate: np.ndarray, exact: bool = False
) -> Comparison:
    """The candidate's probabilities (N,K) against the present ones on the same labelled rows.

    Args:
        metric: `metric(labels, probs)` with `higher_is_better`.
        exact: the metric is accuracy, so McNemar's test holds.
    """
    sign = 1 if metric.higher_is_better else -1
    score = float(metric(labels, candidate))
    difference = sign * (score - float(metric(labels, present)))
    if exact:
        p = mcnemar(present.argmax(axis=1) == labels, candidate.argmax(axis=1) == labels)
    else:
        p = bootstrap(
            lambda rows: sign * (metric(labels[rows], candidate[rows]) - metric(labels[rows], present[rows])),
            len(labels),
        )
    return Comparison(score, difference, p)


def mcnemar(right: np.ndarray, right_too: np.ndarray) -> float:
    """Exact two-sided p value for two ways of answering, from which rows (N,) bool each gets right.

    Limit: 1 where they differ on no row.
    """
    only_first, only_second = int((right & ~right_too).sum()), int((right_too & ~right).sum())
    differing = only_first + only_second
    tail = sum(math.comb(differing, count) for count in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**differing)


def bootstrap(difference: Callable[[np.ndarray], float], rows: int, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p value of a difference, from its sign over resampled rows; at least 2 / (draws + 1).

    Args:
        difference: of drawn row numbers (N,), with repetitions. A draw on which it is not defined counts for both
            sides.

    Limit: 1 where the difference is 0 on every draw.
    """
    generator = np.random.default_rng(seed)
    below = above = 0
    for _ in range(draws):
        try:
            value = difference(generator.integers(0, rows, rows))
        except ValueError:  # for example one class alone was drawn
            value = 0.0
        below += not value > 0
        above += not value < 0
    return min(1.0, 2 * (1 + min(below, above)) / (draws + 1))
