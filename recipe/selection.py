"""Weights of several runs by greedy selection with replacement on their out-of-fold probabilities.

Source: Caruana, Niculescu-Mizil, Crew, Ksikes, "Ensemble Selection from Libraries of Models", 2004, section 2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

ROUNDS = 40


def select_weights(probs: Sequence[np.ndarray], quality: Callable[[np.ndarray], tuple[float, float]], rounds: int = ROUNDS) -> np.ndarray:
    """Weights (R,) float64 of R runs, not negative, that sum to 1.

    In every round the run that helps most is added once more; the best round counts, the earliest of equals.

    Args:
        probs: (N,K) of each run.
        quality: of probabilities (N,K); larger is better.

    Limit: one run gets weight 1. Never worse than the best single run, by the rows given.
    """
    counts = np.zeros(len(probs))
    total = np.zeros(probs[0].shape)
    best, weights = (-np.inf, -np.inf), counts
    for taken in range(1, rounds + 1):
        qualities = [quality(((total + each) / taken).astype(np.float32)) for each in probs]
        winner = max(range(len(probs)), key=lambda number: qualities[number])
        counts[winner] += 1
        total += probs[winner]
        if qualities[winner] > best:
            best, weights = qualities[winner], counts / taken
    return weights
