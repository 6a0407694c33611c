"""Which classes are taken for which, in an order that puts confused ones side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pair:
    """Rows of a class that were answered as another."""

    label: int
    answer: int
    rows: int
    share: float  # of the class's rows


def counts(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """(K, K) int64: row = true class, column = answer."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, answers), 1)
    return matrix


def shares(matrix: np.ndarray) -> np.ndarray:
    """Rows divided by their sum; a class without rows stays 0."""
    totals = matrix.sum(axis=1, keepdims=True)
    return matrix / np.maximum(totals, 1)


def order(matrix: np.ndarray) -> np.ndarray:
    """(K,) class numbers such that classes which are confused lie together.

    Average-linkage clustering on 1 - mutual confusion, with the leaf order of the least distance between neighbours. Two classes, or a
    matrix without a confusion, stay as they are.

    Source: Bar-Joseph, Gifford, Jaakkola, "Fast optimal leaf ordering for hierarchical clustering", 2001.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    mutual = shares(matrix) + shares(matrix).T
    np.fill_diagonal(mutual, 0)
    if len(matrix) < 3 or not mutual.any():
        return np.arange(len(matrix))
    distances = 1 - mutual / mutual.max()
    np.fill_diagonal(distances, 0)
    return leaves_list(linkage(squareform(distances, checks=False), "average", optimal_ordering=True))


def pairs(matrix: np.ndarray) -> list[Pair]:
    """All confusions, the most frequent first."""
    relative = shares(matrix)
    found = [
        Pair(label, answer, int(matrix[label, answer]), float(relative[label, answer]))
        for label, answer in np.argwhere(matrix).tolist()
        if label != answer
    ]
    return sorted(found, key=lambda pair: (-pair.rows, -pair.share, pair.label, pair.answer))
