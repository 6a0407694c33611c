"""Sampling weights for long-tailed data: how often a row is drawn.

A component takes the context (labels,), the (N,) class numbers of the training rows, and returns weights (N,) float64
that sum to 1, to draw with replacement, or None for an ordinary shuffle in which every row comes once.
"""

from __future__ import annotations

import numpy as np

from recipe.registry import Probability, Registry

SAMPLERS = Registry("sampler", accepts="labels (N,); gives sampling weights (N,) or None")


def class_power(labels: np.ndarray, power: float) -> np.ndarray:
    """Weights under which a class of n rows is drawn in proportion to n^power, its rows equally."""
    _, of_row, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights = (counts.astype(np.float64) ** (power - 1))[of_row]
    return weights / weights.sum()


@SAMPLERS.register
def uniform(labels: np.ndarray, /) -> None:
    """Every row once per epoch, in random order.

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", 2020, section 3
    (instance-balanced, q = 1).
    """
    return


@SAMPLERS.register
def class_balanced(labels: np.ndarray, /) -> np.ndarray:
    """Every class equally often, whatever its number of rows.

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", 2020, section 3
    (class-balanced, q = 0).
    Limit: with equal counts every row has the same weight.
    """
    return class_power(labels, 0.0)


@SAMPLERS.register
def square_root(labels: np.ndarray, /) -> np.ndarray:
    """Every class in proportion to the square root of its number of rows.

    Source: Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining", 2018, section 2.2 (q = 1/2).
    Limit: with equal counts every row has the same weight.
    """
    return class_power(labels, 0.5)


@SAMPLERS.register
def power(labels: np.ndarray, /, q: Probability = 0.5) -> np.ndarray:
    """Every class in proportion to its number of rows to the power q.

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", 2020, section 3,
    equation 1.
    Limit: q=1 draws rows alike, q=0 is class_balanced, q=0.5 is square_root.
    """
    return class_power(labels, q)
