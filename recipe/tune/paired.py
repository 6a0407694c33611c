"""Whether a setting makes a difference beyond the noise of seeds and folds.

Source: Nadeau, Bengio, "Inference for the Generalization Error", 2003, section 4 (the corrected resampled t-test);
Bouckaert, Frank, "Evaluating the Replicability of Significance Tests for Comparing Learning Algorithms", 2004, section
3.3 (repeated cross-validation); Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """A paired comparison."""

    pairs: int
    mean: float  # of row minus baseline
    half_width: float  # of the 95 % confidence interval; NaN for a single pair
    p: float  # two-sided; NaN for a single pair


def compare(differences: Sequence[float], test_share: float) -> Difference:
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
    """The comparison in words."""
    if math.isnan(corrected_p):
        return "one pair only: noise unknown, use more seeds"
    if corrected_p >= LEVEL:
        return "no difference beyond seed noise"
    return "better than the baseline" if (difference.mean > 0) == higher_is_better else "worse than the baseline"
