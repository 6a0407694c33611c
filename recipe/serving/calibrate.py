"""The temperature that labelled answers ask for; recipe/serving/averaging.py applies it, without scipy.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017, section 4.2.
"""

from __future__ import annotations

import math

import numpy as np

from recipe.serving.averaging import TINY

SMALLEST, LARGEST = 0.05, 20.0


def fit_temperature(labels: np.ndarray, probs: np.ndarray) -> float:
    """The temperature under which the labels (N,) have the smallest log loss, between 0.05 and 20.

    The loss is convex in 1/T, so there is one minimum. Where every answer is right there is none: the smallest is
    returned.
    """
    from scipy.optimize import minimize_scalar

    logits = np.log(np.clip(probs.astype(np.float64), TINY, None))
    own = logits[np.arange(len(labels)), labels]

    def loss(inverse: float) -> float:
        scaled = logits * inverse
        top = scaled.max(axis=1)
        return float((top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - own * inverse).mean())

    found = minimize_scalar(
        lambda log_inverse: loss(math.exp(log_inverse)),
        bounds=(-math.log(LARGEST), -math.log(SMALLEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return round(math.exp(-float(found.x)), 4)
