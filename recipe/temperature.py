"""Temperature: one number that makes probabilities neither too sure nor too timid; the answers stay the same.

The logarithm of the averaged probabilities is divided by T. For one network and one view this is the paper's division of the logits
(softmax forgets the constant between the two); for an average over views, folds and runs it pools first and calibrates then, which
Rahaman and Thiery find to be the better order ("Uncertainty Quantification and Deep Ensembles", 2021).

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017, section 4.2.
"""

from __future__ import annotations

import math

import numpy as np

SMALLEST, LARGEST = 0.05, 20.0
TINY = 1e-12  # what a probability of 0 counts as


def tempered(probs: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N,K) float32 under a temperature: above 1 flatter, below 1 sharper.

    Limit: 1 is the identity; towards infinity all classes become equal.
    """
    if temperature == 1:
        return probs
    logits = np.log(np.clip(probs.astype(np.float64), TINY, None)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def fit_temperature(labels: np.ndarray, probs: np.ndarray) -> float:
    """The temperature under which the labels (N,) have the smallest log loss, between 0.05 and 20.

    The loss is convex in 1/T, so there is one minimum. Where every answer is right there is none: the smallest is returned.
    """
    from scipy.optimize import minimize_scalar

    logits = np.log(np.clip(probs.astype(np.float64), TINY, None))
    own = logits[np.arange(len(labels)), labels]

    def loss(inverse: float) -> float:
        scaled = logits * inverse
        top = scaled.max(axis=1)
        return float((top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - own * inverse).mean())

    found = minimize_scalar(lambda log_inverse: loss(math.exp(log_inverse)), bounds=(-math.log(LARGEST), -math.log(SMALLEST)),
                            method="bounded", options={"xatol": 1e-6})  # fmt: skip
    return round(math.exp(-float(found.x)), 4)
