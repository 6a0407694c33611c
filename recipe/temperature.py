"""Temperature: one number that makes probabilities neither too sure nor too timid; the answers stay the same.

The logarithm of the averaged probabilities is divided by T. For one network and one view this is the paper's division of the logits
(softmax forgets the constant between the two); for an average over views, folds and runs it pools first and calibrates then, which
Rahaman and Thiery find to be the better order ("Uncertainty Quantification and Deep Ensembles", 2021).

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017, section 4.2.
"""

from __future__ import annotations

import numpy as np

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
