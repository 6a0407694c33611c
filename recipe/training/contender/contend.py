"""The contender: discriminant analysis and logistic regression on frozen features, each with its temperature, mixed by
what out-of-fold rows prefer.

Every number that is chosen (two temperatures, the share of each, the temperature of the mix) is chosen on rows that the
classifier in question has not seen; the classifier that answers is then fitted to all rows. A mix of logits is one
linear layer again, so the contender is the head of an ordinary network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from recipe.training.contender.linear import TINY, Linear, discriminant, logistic

SHRINKAGE = 0.5  # best or within noise of it on mushroom4, cats12 and birds100 (docs/measured.md)
SHARE = 0.7  # of the discriminant in the mix of logits, unless one of these is better beyond chance:
SHARES = (1.0, 0.5, 0.3, 0.0)
BEYOND_CHANCE = 2.0  # standard errors of a paired difference
LOGISTIC_WORK = 2e9  # rows x features x classes of one fit: above, logistic regression is left out (half a minute)
SHARPNESS = (-8.0, 5.0)  # natural logarithms between which 1 / temperature is sought

Part = tuple[np.ndarray, np.ndarray]  # rows to fit, rows to answer


@dataclass(frozen=True)
class Contender:
    """The classifier of all rows, and what classifiers made alike say of rows that they have not seen."""

    linear: Linear
    oof_probs: np.ndarray  # (N, K) float32, mean over the views; NaN for rows that no part answers
    share: float  # of the discriminant in the mix
    loss: float  # mean negative log likelihood of the out-of-fold probabilities


def contend(
    features: np.ndarray, labels: np.ndarray, classes: int, parts: Sequence[Part], c: float = 0.005
) -> Contender:
    """The best mix of discriminant analysis and logistic regression by the rows that the parts answer.

    Args:
        features: (V, N, D) as the head's classifier takes them, in each of V views (a mirrored one counts as rows).
        labels: (N,) in [0, classes).
        parts: pairs of disjoint rows; those of cross-validation answer every row once.
        c: inverse strength of the penalty of logistic regression.

    Limit: one part that answers nothing leaves the discriminant with the temperature of the rows it was fitted to.
    """
    fits: list[Callable[[np.ndarray, np.ndarray], Linear]] = [lambda f, y: discriminant(f, y, classes, SHRINKAGE)]
    if features[..., 0].size * features.shape[2] * classes <= LOGISTIC_WORK and len(np.unique(labels)) > 1:
        fits.append(lambda f, y: logistic(f, y, classes, c))
    answered = np.unique(np.concatenate([rows for _, rows in parts]))
    answered = answered if len(answered) else np.arange(len(labels))
    found = [_cross_fitted(fit, features, labels, parts) for fit in fits]
    sharp = [sharpness(logits[:, answered], labels[answered]) for _, logits in found]
    calibrated = [(linear.scaled(by), by * logits) for by, (linear, logits) in zip(sharp, found, strict=True)]
    share, loss = _share([logits[:, answered] for _, logits in calibrated], labels[answered])
    linear, logits = _mixed(calibrated, share)
    by = sharpness(logits[:, answered], labels[answered])
    probs = softmax(by * logits, axis=2).mean(axis=0).astype(np.float32)
    probs[np.setdiff1d(np.arange(len(labels)), answered)] = np.nan
    return Contender(linear.scaled(by), probs, share, loss)


def _cross_fitted(
    fit: Callable[[np.ndarray, np.ndarray], Linear], features: np.ndarray, labels: np.ndarray, parts: Sequence[Part]
) -> tuple[Linear, np.ndarray]:
    """The classifier of all rows, and logits (V,N,K) of each row by one that has not seen it."""
    whole = fit(*_stacked(features, labels, np.arange(len(labels))))
    logits = whole.logits(features)
    for fitted, answered in parts:
        logits[:, answered] = fit(*_stacked(features, labels, fitted)).logits(features[:, answered])
    return whole, logits


def _stacked(features: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of all views as (V * n, D) with their labels."""
    return features[:, rows].reshape(-1, features.shape[2]), np.tile(labels[rows], len(features))


def sharpness(logits: np.ndarray, labels: np.ndarray) -> float:
    """The factor, above 0, that makes logits (V,N,K) most likely for the labels (N,): 1 / temperature.

    Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017, section 4.2.
    """
    rows = np.arange(len(labels))

    def loss(power: float) -> float:
        return -float(log_softmax(np.exp(power) * logits, axis=2)[:, rows, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=SHARPNESS, method="bounded").x))


def _share(logits: Sequence[np.ndarray], labels: np.ndarray) -> tuple[float, float]:
    """The discriminant's share in the mix, and the log loss with it."""
    if len(logits) == 1:
        return 1.0, float(_losses(logits[0], labels).mean())
    share, present = SHARE, _losses(_sum(logits, SHARE), labels)
    for other in SHARES:
        losses = _losses(_sum(logits, other), labels)
        better = present - losses
        if better.mean() > BEYOND_CHANCE * better.std() / np.sqrt(len(better)):
            share, present = other, losses
    return share, float(present.mean())


def _losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) negative log likelihoods of the mean over the views."""
    probs = softmax(logits, axis=2).mean(axis=0)
    return np.asarray(-np.log(np.maximum(probs[np.arange(len(labels)), labels], TINY)))


def _sum(logits: Sequence[np.ndarray], share: float) -> np.ndarray:
    return share * logits[0] + (1 - share) * logits[1] if len(logits) > 1 else logits[0]


def _mixed(found: Sequence[tuple[Linear, np.ndarray]], share: float) -> tuple[Linear, np.ndarray]:
    linear = found[0][0]
    if len(found) > 1:
        linear = linear.scaled(share).plus(found[1][0].scaled(1 - share))
    return linear, _sum([logits for _, logits in found], share)
