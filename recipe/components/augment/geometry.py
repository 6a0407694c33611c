"""Augmentations that move pixels: flips, rotation, shift with scale."""

from __future__ import annotations

from typing import Annotated

import cv2
from annotated_types import Ge, Le

from recipe.components.augment.step import AUGMENTATIONS, Step, albumentation
from recipe.registry import Fraction, Probability

Degrees = Annotated[float, Ge(0), Le(180)]


@AUGMENTATIONS.register
def hflip(size: int, /, p: Probability = 0.5) -> Step:
    """HorizontalFlip: mirrors the picture left to right.

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012,
    section 4.1.
    Limit: applied twice (p=1) it is the identity.
    """
    return Step(lambda image, rng: cv2.flip(image, 1), p)


@AUGMENTATIONS.register
def vflip(size: int, /, p: Probability = 0.5) -> Step:
    """VerticalFlip: mirrors the picture top to bottom.

    Source: Buslaev et al., "Albumentations: Fast and Flexible Image Augmentations", 2020, section 3.
    Limit: applied twice (p=1) it is the identity.
    """
    return Step(lambda image, rng: cv2.flip(image, 0), p)


@AUGMENTATIONS.register
def rotation(size: int, /, degrees: Degrees = 15.0, p: Probability = 0.5) -> Step:
    """RandomRotation: turns the picture about its centre by up to `degrees` either way; corners are reflected.

    Source: Simard, Steinkraus, Platt, "Best Practices for Convolutional Neural Networks", 2003, section 2.
    Limit: degrees=0 is the identity.
    """
    return Step(albumentation("Rotate", limit=(-degrees, degrees), border_mode=cv2.BORDER_REFLECT_101), p)


@AUGMENTATIONS.register
def shift_scale_rotate(
    size: int, /, shift: Fraction = 0.0625, scale: Fraction = 0.1, degrees: Degrees = 45.0, p: Probability = 0.5
) -> Step:
    """ShiftScaleRotate: shifts by `shift` of the side, scales by 1 +- `scale`, turns by `degrees`, in one resampling.

    Gaps are filled by reflection. albumentations calls it Affine nowadays.

    Source: Buslaev et al., "Albumentations: Fast and Flexible Image Augmentations", 2020, section 3.
    Limit: shift=0, scale=0, degrees=0 is the identity.
    """
    affine = albumentation(
        "Affine",
        translate_percent=(-shift, shift),
        scale=(1 - scale, 1 + scale),
        rotate=(-degrees, degrees),
        border_mode=cv2.BORDER_REFLECT_101,
    )
    return Step(affine, p)
