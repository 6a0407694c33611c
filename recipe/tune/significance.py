"""Whether a difference is beyond chance: of two ways of answering on the same rows, or of two settings over the same
seeds and folds. p values are two-sided; several of them are corrected by `holm`.

`paired_answers`: for accuracy the exact test of McNemar: of the rows that one answers right and the other wrong, each
side would get half. For every other metric the paired bootstrap: rows are drawn again and again, and both ways are
judged on the same draws. `paired_scores`: the corrected resampled t-test, for folds share training rows.

Source: McNemar, "Note on the sampling error of the difference between correlated proportions", 1947 (exact form); Efron
and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 16; Dietterich, "Approximate Statistical Tests", 1998,
section 3.1; Nadeau, Bengio, "Inference for the Generalization Error", 2003, section 4; Bouckaert, Frank, "Evaluating
the Replicability of Significance Tests for Comparing Learning Algorithms", 2004, section 3.3 (repeated
cross-validation); Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocol.language import later

DRAWS = 1000
LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """A candidate against the present choice."""

    score: float  # of the candidate, in the metric's own unit
    difference: float  # to the present choice; above 0 is better, whatever the metric's direction
    p: float  # two-sided


def paired_answers(
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


@dataclass(frozen=True)
class Difference:
    """A paired comparison."""

    pairs: int
    mean: float  # of row minus baseline
    half_width: float  # of the 95 % confidence interval; NaN for a single pair
    p: float  # two-sided; NaN for a single pair


def paired_scores(differences: Sequence[float], test_share: float) -> Difference:
    """The mean of paired differences, tested against zero.

    Scores of folds and of repeated splits share training rows, so their plain variance is too small: it is enlarged by
    the ratio of validation to training rows.

    Args:
        differences: one per (seed, fold), the row's score minus the baseline's on the same rows.
        test_share: validation rows over training rows, for example 1/4 with five folds.

    Limit: test_share=0 is the paired t-test. Differences that are all zero have p=1.
    """
    values = np.asarray(differences, float)
    mean = float(values.mean())
    if len(values) < 2:
        return Difference(len(values), mean, math.nan, math.nan)
    from scipy.stats import t

    error = float(values.std(ddof=1)) * math.sqrt(1 / len(values) + test_share)
    if error < 1e-12:
        return Difference(len(values), mean, 0.0, 1.0 if abs(mean) < 1e-12 else 0.0)
    half_width = float(t.ppf(1 - LEVEL / 2, len(values) - 1)) * error
    return Difference(len(values), mean, half_width, float(2 * t.sf(abs(mean) / error, len(values) - 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for being several, in their order; NaN stays NaN and does not count.

    Limit: a single one is left as it is.
    """
    corrected = [math.nan] * len(p_values)
    order = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        corrected[place] = largest
    return corrected


def verdict(difference: Difference, corrected_p: float, higher_is_better: bool = True) -> str:
    """The comparison in words, which are translated where they are shown."""
    if math.isnan(corrected_p):
        return later("one pair only: noise unknown, use more seeds")
    if corrected_p >= LEVEL:
        return later("no difference beyond seed noise")
    better = (difference.mean > 0) == higher_is_better
    return later("better than the baseline") if better else later("worse than the baseline")
