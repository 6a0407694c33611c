"""Whether a probability of 0.8 is right in 8 of 10 cases, and the one number that mends it.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017, sections 2 and 4.2 (temperature scaling).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recipe.calibrate import fit_temperature
from recipe.temperature import tempered

BINS = 15


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
