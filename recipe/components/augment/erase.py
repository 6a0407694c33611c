"""Augmentations that hide a part of the picture: RandomErasing, Cutout, GridMask."""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from annotated_types import Ge, Le

from recipe.components.augment.step import AUGMENTATIONS, Step, albumentation, ordered
from recipe.registry import Fraction, Positive, Probability

# Zero after normalisation with the ImageNet mean, which is what the papers' "filled with zeros" amounts to.
MEAN_COLOUR = (124, 116, 104)


@AUGMENTATIONS.register
def erasing(
    size: int,
    /,
    scale: tuple[Positive, Probability] = (0.02, 0.33),
    ratio: tuple[Positive, Positive] = (0.3, 3.3),
    fill: Literal["noise", "colour", "mean"] = "noise",
    p: Probability = 0.5,
) -> Step:
    """RandomErasing: fills a rectangle of a random share of the area (`scale`) and aspect `ratio` with noise, one
    random colour or the mean colour.

    Source: Zhong, Zheng, Kang, Li, Yang, "Random Erasing Data Augmentation", 2020, section 3.2 (noise: the paper's
    RE-R).
    Limit: p=0 is the identity.
    """
    filling = {"noise": "random", "colour": "random_uniform", "mean": MEAN_COLOUR}[fill]
    ranges = {"scale": ordered("erasing", "scale", scale), "ratio": ordered("erasing", "ratio", ratio)}
    return Step(albumentation("Erasing", fill=filling, **ranges), p)


@AUGMENTATIONS.register
def cutout(size: int, /, side: Probability = 0.5, p: Probability = 1.0) -> Step:
    """Cutout: fills a square of `side` times the short side (16 of 32 pixels in the paper) with the mean colour. Its
    centre lies anywhere, so a part may fall outside.

    Source: DeVries, Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017, section 3.2.
    Limit: side=0 is the identity.
    """

    def apply(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = image.shape[:2]
        length = round(side * min(height, width))
        top, left = rng.integers(height) - length // 2, rng.integers(width) - length // 2
        covered = image.copy()
        covered[max(top, 0) : max(top + length, 0), max(left, 0) : max(left + length, 0)] = MEAN_COLOUR
        return covered

    return Step(apply, p)


@AUGMENTATIONS.register
def gridmask(
    size: int,
    /,
    ratio: Fraction = 0.4,
    unit: tuple[Positive, Positive] = (0.43, 1.0),
    degrees: Annotated[float, Ge(0), Le(180)] = 0.0,
    p: Probability = 0.5,
) -> Step:
    """GridMask: covers a regular grid of squares with the mean colour.

    A unit of the grid is a random share of the short side (`unit`; the paper takes 96 to 224 of 224 pixels) and starts
    at a random place; the square in it covers `ratio` of the unit's edge, hence ratio squared of the area (the paper's
    r is 1 - ratio). `degrees` turns the grid at random.

    Source: Chen, Liu, Zhao, Jia, "GridMask Data Augmentation", 2020, section 3.
    Limit: ratio=0 is the identity.
    """
    low, high = ordered("gridmask", "unit", unit)

    def apply(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        period = max(2, round(min(image.shape[:2]) * rng.uniform(low, high)))
        mask = _grid(image.shape[:2], period, round(ratio * period), rng.uniform(-degrees, degrees), rng)
        covered = image.copy()
        covered[mask] = MEAN_COLOUR
        return covered

    return Step(apply, p)


def _grid(shape: tuple[int, ...], period: int, covered: int, angle: float, rng: np.random.Generator) -> np.ndarray:
    """(h, w) bool: the squares of a grid with a random start, turned by `angle` degrees about the centre."""
    height, width = shape
    side = height + width  # a square that covers the picture whatever the angle
    bands = [(np.arange(side) + rng.integers(period)) % period < covered for _ in range(2)]
    mask = bands[0][:, None] & bands[1][None, :]
    if angle:
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0)
        mask = cv2.warpAffine(mask.astype(np.uint8), turn, (side, side), flags=cv2.INTER_NEAREST).astype(bool)
    top, left = (side - height) // 2, (side - width) // 2
    return mask[top : top + height, left : left + width]
