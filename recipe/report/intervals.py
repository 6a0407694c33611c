"""How sure a score is."""

from __future__ import annotations

from typing import Any

import numpy as np

from recipe.metrics import MetricError

NORMAL_95 = 1.959963984540054  # quantile 0.975 of the normal distribution
RESAMPLES = 200


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
    """95 % percentile interval of a metric over resampled rows, the same rows at every call; NaN where it is never defined.

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
