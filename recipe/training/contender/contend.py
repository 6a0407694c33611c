"""The contender: discriminant analysis and logistic regression on frozen features, each with its temperature, mixed by
what out-of-fold rows prefer.

Every number that is chosen (the shrinkage, two temperatures, the share of each, the temperature of the mix) is chosen
on rows that the classifier in question has not seen; the classifier that answers is then fitted to all rows. A mix of
logits is one linear layer again, so the contender is the head of an ordinary network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from recipe.training.contender.linear import TINY, Linear, discriminants, logistic

SHRINKAGE = 0.5  # best or within noise of it on mushroom4, cats12 and birds100 (docs/measured.md), not on digits: so
SHRINKAGES = (SHRINKAGE, 0.3, 0.2, 0.1, 0.05, 0.7)  # another takes its place where it is better beyond chance
SHARE = 0.7  # of the discriminant in the mix of logits, unless one of these is better by so many standard errors:
SHARES = {1.0: 1.0, 0.5: 2.0, 0.3: 2.0, 0.0: 2.0}  # more of logistic regression has to show more
BEYOND_CHANCE = 1.0  # standard errors of a paired difference, for another shrinkage
CHOICE_WORK = 2e9  # rows x features x classes: above (half a minute), the discriminant alone, nothing chosen
SHARPNESS = (-8.0, 5.0)  # natural logarithms between which 1 / temperature is sought

Part = tuple[np.ndarray, np.ndarray]  # rows to fit, rows to answer
Fit = Callable[[np.ndarray, np.ndarray], Sequence[Linear]]  # of features (N,D) and labels (N,)


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
    answered = np.unique(np.concatenate([rows for _, rows in parts]))
    chosen = len(answered) > 0 and features[..., 0].size * features.shape[2] * classes <= CHOICE_WORK
    answered = answered if len(answered) else np.arange(len(labels))
    shrinkages = SHRINKAGES if chosen else (SHRINKAGE,)
    fits: list[Fit] = [lambda f, y: discriminants(f, y, classes, shrinkages)]
    if chosen and len(np.unique(labels)) > 1:
        fits.append(lambda f, y: (logistic(f, y, classes, c),))
    calibrated = []
    for fit in fits:
        found = [_calibrated(*one, labels, answered) for one in _cross_fitted(fit, features, labels, parts)]
        losses = [_losses(logits[:, answered], labels[answered]) for _, logits in found]
        best, _ = _preferred(losses, len(found) * (BEYOND_CHANCE,))
        calibrated.append(found[best])
    share, loss = _share([logits[:, answered] for _, logits in calibrated], labels[answered])
    linear, logits = _mixed(calibrated, share)
    by = sharpness(logits[:, answered], labels[answered])
    probs = softmax(by * logits, axis=2).mean(axis=0).astype(np.float32)
    probs[np.setdiff1d(np.arange(len(labels)), answered)] = np.nan
    return Contender(linear.scaled(by), probs, share, loss)


def _cross_fitted(
    fit: Fit, features: np.ndarray, labels: np.ndarray, parts: Sequence[Part]
) -> list[tuple[Linear, np.ndarray]]:
    """The classifiers of all rows, and logits (V,N,K) of each row by those that have not seen it."""
    whole = fit(*_stacked(features, labels, np.arange(len(labels))))
    logits = [linear.logits(features) for linear in whole]
    for fitted, answered in parts:
        for linear, said in zip(fit(*_stacked(features, labels, fitted)), logits, strict=True):
            said[:, answered] = linear.logits(features[:, answered])
    return list(zip(whole, logits, strict=True))


def _calibrated(
    linear: Linear, logits: np.ndarray, labels: np.ndarray, answered: np.ndarray
) -> tuple[Linear, np.ndarray]:
    """Both with the temperature that the answered rows prefer."""
    by = sharpness(logits[:, answered], labels[answered])
    return linear.scaled(by), by * logits


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
    shares = (SHARE, *SHARES)
    best, loss = _preferred([_losses(_sum(logits, share), labels) for share in shares], (0.0, *SHARES.values()))
    return shares[best], loss


def _preferred(losses: Sequence[np.ndarray], beyond: Sequence[float]) -> tuple[int, float]:
    """Which of several to take, by their losses (N,), and its mean loss: the first, unless a later one is better by its
    number of standard errors.
    """
    best = 0
    for other in range(1, len(losses)):
        better = losses[best] - losses[other]
        if better.mean() > beyond[other] * better.std() / np.sqrt(len(better)):
            best = other
    return best, float(losses[best].mean())


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
