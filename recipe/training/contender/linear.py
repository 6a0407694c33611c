"""Two linear classifiers of features: discriminant analysis in closed form, and logistic regression.

Sources: Ledoit, Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004, section 2, for
shrinking the covariance towards a multiple of the identity; Friedman, "Regularized Discriminant Analysis", 1989.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TINY = 1e-12  # features that are all alike
ABSENT = 10.0  # a class without rows lies so far below the least likely one


@dataclass(frozen=True)
class Linear:
    """logits = features @ weight.T + bias."""

    weight: np.ndarray  # (K, D) float64
    bias: np.ndarray  # (K,) float64

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(..., K) float64 of features (..., D)."""
        return np.asarray(features @ self.weight.T + self.bias)

    def scaled(self, factor: float) -> Linear:
        """The same answers, surer by a factor."""
        return Linear(factor * self.weight, factor * self.bias)

    def plus(self, other: Linear) -> Linear:
        """The sum of both logits: probabilities multiply."""
        return Linear(self.weight + other.weight, self.bias + other.bias)


def discriminant(features: np.ndarray, labels: np.ndarray, classes: int, shrinkage: float) -> Linear:
    """Linear discriminant analysis with one covariance for all classes, every class as likely as another.

    Args:
        features: (N, D).
        labels: (N,) in [0, classes); a class without rows is the least likely everywhere.
        shrinkage: share of the identity, scaled to the mean variance, in the covariance.

    Limit: shrinkage 1 is the nearest class mean.
    """
    return discriminants(features, labels, classes, (shrinkage,))[0]


def discriminants(
    features: np.ndarray, labels: np.ndarray, classes: int, shrinkages: Sequence[float]
) -> tuple[Linear, ...]:
    """`discriminant` for each shrinkage, the covariance computed once."""
    features = features.astype(np.float64)
    counts = np.bincount(labels, minlength=classes)
    means = np.zeros((classes, features.shape[1]))
    np.add.at(means, labels, features)
    means /= np.maximum(counts, 1)[:, None]
    centred = features - means[labels]
    covariance = centred.T @ centred / len(features)
    found = (_shrunk(covariance, means, shrinkage) for shrinkage in shrinkages)
    return tuple(_without(linear, counts, features) for linear in found)


def _shrunk(covariance: np.ndarray, means: np.ndarray, shrinkage: float) -> Linear:
    variance = max(float(np.trace(covariance)) / len(covariance), TINY)
    shrunk = (1 - shrinkage) * covariance
    shrunk[np.diag_indices_from(shrunk)] += max(shrinkage, TINY) * variance
    weight = np.linalg.solve(shrunk, means.T).T
    return Linear(weight, -0.5 * np.einsum("kd,kd->k", weight, means))


def logistic(features: np.ndarray, labels: np.ndarray, classes: int, c: float) -> Linear:
    """Logistic regression on scaled features, the scale folded into the weights.

    A feature is divided by its deviation, but never by less than the typical one (the root mean square over features):
    a head that lives on features that hardly vary is wrecked by the first steps of fine-tuning, which move all features
    alike (docs/measured.md).

    Args:
        features: (N, D).
        labels: (N,) in [0, classes), of two classes at least; a class without rows gets the lowest bias.
        c: inverse strength of the L2 penalty.
    """
    from sklearn.linear_model import LogisticRegression

    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    scale = np.maximum(deviation, max(float(np.sqrt(np.mean(deviation**2))), TINY))
    model = LogisticRegression(C=c, max_iter=1000, tol=1e-3).fit((features - mean) / scale, labels)
    rows, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # one row for the second class against the first
        rows, intercept = np.concatenate([-rows, rows]) / 2, np.concatenate([-intercept, intercept]) / 2
    weight, bias = np.zeros((classes, features.shape[1])), np.full(classes, intercept.min() - ABSENT)
    weight[model.classes_] = rows / scale
    bias[model.classes_] = intercept - (rows / scale) @ mean
    return Linear(weight, bias)


def _without(linear: Linear, counts: np.ndarray, features: np.ndarray) -> Linear:
    """The classifier with each absent class below every other one, by the rows that it has seen."""
    if counts.all():
        return linear
    there = counts > 0
    lowest = float(Linear(linear.weight[there], linear.bias[there]).logits(features).min())
    weight, bias = linear.weight.copy(), linear.bias.copy()
    weight[~there], bias[~there] = 0.0, lowest - ABSENT
    return Linear(weight, bias)
