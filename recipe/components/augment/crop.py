"""Augmentations that cut to the network's size. A pipeline without one gets the evaluation crop first."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from recipe.components.augment.step import AUGMENTATIONS, Step, albumentation, ordered
from recipe.pictures.decode import resize_short
from recipe.registry import NotNegative, Positive, Probability

BORDERS = {"constant": cv2.BORDER_CONSTANT, "reflect": cv2.BORDER_REFLECT_101}


def cut(image: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A square of `size` pixels from a random place; the picture must be at least that large."""
    height, width = image.shape[:2]
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    return image[top : top + size, left : left + size]


def pad(image: np.ndarray, rows: int, columns: int, border: str) -> np.ndarray:
    """The picture with `rows` and `columns` pixels more on each side; negative numbers count as none."""
    rows, columns = max(rows, 0), max(columns, 0)
    return cv2.copyMakeBorder(image, rows, rows, columns, columns, BORDERS[border])


@AUGMENTATIONS.register
def scale_crop(size: int, /, scale: tuple[Positive, Positive] = (0.8, 1.25), p: Probability = 1.0) -> Step:
    """RandomScaleCrop: short side to `size` times a random factor from `scale`, then a square from a random place.

    Pictures that a factor below 1 left too small are padded by reflection. Where the step is not drawn (p < 1), the
    evaluation crop takes its place.

    Source: Chen, Papandreou, Schroff, Adam, "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017,
    section 4.1.
    Limit: scale=(1, 1) on a square picture is a plain resize.
    """
    low, high = ordered("scale_crop", "scale", scale)

    def apply(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        scaled = resize_short(image, max(1, round(size * rng.uniform(low, high))))
        height, width = scaled.shape[:2]
        return cut(pad(scaled, (size - height + 1) // 2, (size - width + 1) // 2, "reflect"), size, rng)

    return Step(apply, p, crops=True)


@AUGMENTATIONS.register
def random_crop(
    size: int,
    /,
    padding: NotNegative = 0.125,
    border: Literal["constant", "reflect"] = "constant",
    p: Probability = 1.0,
) -> Step:
    """RandomCrop with padding: resizes the short side to `size`, pads, then cuts a square from a random place.

    `padding` is a share of `size` on each side: 0.125 gives the usual 4 pixels at 32. `border` is black ("constant") or
    mirrored ("reflect").

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2016, section 4.2.
    Limit: padding=0 on a square picture is a plain resize.
    """
    pixels = round(size * padding)

    def apply(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return cut(pad(resize_short(image, size), pixels, pixels, border), size, rng)

    return Step(apply, p, crops=True)


@AUGMENTATIONS.register
def random_resized_crop(
    size: int,
    /,
    scale: tuple[Positive, Probability] = (0.08, 1.0),
    ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3),
    p: Probability = 1.0,
) -> Step:
    """RandomResizedCrop: a random share of the area (`scale`) at a random aspect ratio (width to height), as a square.

    Shrinks by area and enlarges by cubic interpolation, as the evaluation does.

    Source: Szegedy et al., "Going Deeper with Convolutions", 2015, section 6.
    Limit: scale=(1, 1) and ratio=(1, 1) on a square picture is a plain resize.
    """
    settings = {
        "scale": ordered("random_resized_crop", "scale", scale),
        "ratio": ordered("random_resized_crop", "ratio", ratio),
    }
    crop = albumentation(
        "RandomResizedCrop", size=(size, size), interpolation=cv2.INTER_CUBIC, area_for_downscale="image", **settings
    )
    return Step(crop, p, crops=True)


@AUGMENTATIONS.register
def resize(size: int, /, p: Probability = 1.0) -> Step:
    """Resize: squeezes the whole picture into the square; nothing is cut off, the aspect ratio is lost.

    Source: Girshick, Donahue, Darrell, Malik, "Rich Feature Hierarchies for Accurate Object Detection", 2014, section
    2.1.
    Limit: the identity on a picture that already has the size.
    """

    def apply(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        shrinks = image.shape[0] * image.shape[1] > size * size
        return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)

    return Step(apply, p, crops=True)
