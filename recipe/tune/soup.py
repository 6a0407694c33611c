"""Greedy soup: one network whose weights are the mean of several of one training, at the price of one.

Source: Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without
increasing inference time", 2022, section 2 (recipe 1).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from recipe.runs.ensemble import WEIGHTS
from recipe.runs.sealed import read_sealed

Weights = dict[str, torch.Tensor]
Quality = tuple[float, float]  # score in its direction, then minus the log loss: larger is better


def ingredients(fold: Path) -> list[Path]:
    """The kept weights of a fold first, then its snapshots."""
    return [fold / WEIGHTS, *sorted((fold / "snapshots").glob("*.safetensors"))]


def mean_of_weights(files: Sequence[Path]) -> Weights:
    """The mean of several weights, taken in float64; counters (integers) come from the first.

    Raises:
        DamagedError: one of them is absent, torn, altered, or carries no checksum.

    Limit: the mean of identical weights is these weights, bit for bit.
    """
    first, *others = (read_sealed(file)[0] for file in files)
    sums = {key: value.double() for key, value in first.items() if value.is_floating_point()}
    for state in others:
        for key, total in sums.items():
            total += state[key]
    return first | {key: (total / len(files)).to(first[key].dtype) for key, total in sums.items()}


def greedy_soup(count: int, quality: Callable[[tuple[int, ...]], Quality]) -> tuple[int, ...]:
    """Ingredients, best first: each is kept if the mean with it is no worse.

    Args:
        count: of ingredients.
        quality: of the mean of some ingredients, on validation rows.

    Limit: never below the best single ingredient, by the rows that `quality` looks at.
    """
    judged = functools.cache(quality)
    ranked = sorted(range(count), key=lambda number: judged((number,)), reverse=True)
    chosen: tuple[int, ...] = (ranked[0],)
    for number in ranked[1:]:
        if judged((*chosen, number)) >= judged(chosen):
            chosen = (*chosen, number)
    return chosen
