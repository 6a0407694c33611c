"""Augmentations that change pixel values and leave the pixels where they are."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from annotated_types import Ge, Le

from recipe.components.augment.step import AUGMENTATIONS, Step, albumentation, ordered
from recipe.registry import Count, Fraction, NotNegative, Positive, Probability

Bits = Annotated[int, Ge(1), Le(8)]
Quality = Annotated[int, Ge(1), Le(100)]
HueShift = Annotated[float, Ge(0), Le(0.5)]


@AUGMENTATIONS.register
def brightness_contrast(
    size: int, /, brightness: Fraction = 0.2, contrast: Fraction = 0.2, p: Probability = 0.5
) -> Step:
    """RandomBrightnessContrast: adds up to `brightness` of the range and multiplies by 1 +- `contrast`.

    Source: Buslaev et al., "Albumentations: Fast and Flexible Image Augmentations", 2020, section 3.
    Limit: brightness=0, contrast=0 is the identity.
    """
    limits = {"brightness_limit": (-brightness, brightness), "contrast_limit": (-contrast, contrast)}
    return Step(albumentation("RandomBrightnessContrast", **limits), p)


@AUGMENTATIONS.register
def color_jitter(
    size: int,
    /,
    brightness: Fraction = 0.2,
    contrast: Fraction = 0.2,
    saturation: Fraction = 0.2,
    hue: HueShift = 0.05,
    p: Probability = 0.5,
) -> Step:
    """ColorJitter: multiplies brightness, contrast and saturation by 1 +- their setting and turns the hue by +- `hue`
    of the circle, in random order.

    Source: Howard, "Some Improvements on Deep Convolutional Neural Network Based Image Classification", 2013, section
    2.
    Limit: all four 0 is the identity.
    """
    factors = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
    ranges = {name: (1 - share, 1 + share) for name, share in factors.items()}
    return Step(albumentation("ColorJitter", hue=(-hue, hue), **ranges), p)


@AUGMENTATIONS.register
def gauss_noise(size: int, /, std: tuple[NotNegative, Probability] = (0.01, 0.03), p: Probability = 0.5) -> Step:
    """GaussNoise: adds to every value noise of a standard deviation drawn from `std`, a share of the value range.

    Source: Buslaev et al., "Albumentations: Fast and Flexible Image Augmentations", 2020, section 3.
    Limit: std=(0, 0) is the identity.
    """
    return Step(albumentation("GaussNoise", std_range=ordered("gauss_noise", "std", std)), p)


@AUGMENTATIONS.register
def clahe(size: int, /, clip_limit: Annotated[float, Ge(1)] = 4.0, tiles: Count = 8, p: Probability = 0.5) -> Step:
    """CLAHE: equalises the histogram of lightness in tiles x tiles fields, its slope limited to 1 to `clip_limit`.

    Source: Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", Graphics Gems IV, 1994.
    """
    return Step(albumentation("CLAHE", clip_limit=(1.0, clip_limit), tile_grid_size=(tiles, tiles)), p)


@AUGMENTATIONS.register
def jpeg_compression(size: int, /, quality: tuple[Quality, Quality] = (60, 95), p: Probability = 0.5) -> Step:
    """ImageCompression: saves the picture as JPEG at a random quality and reads it back.

    Source: Dodge, Karam, "Understanding How Image Quality Affects Deep Neural Networks", 2016, section 3.
    """
    return Step(albumentation("ImageCompression", quality_range=ordered("jpeg_compression", "quality", quality)), p)


@AUGMENTATIONS.register
def gamma(size: int, /, exponent: tuple[Positive, Positive] = (0.8, 1.2), p: Probability = 0.5) -> Step:
    """RandomGamma: raises values (as a share of the range) to a power drawn from `exponent`.

    Source: Buslaev et al., "Albumentations: Fast and Flexible Image Augmentations", 2020, section 3.
    Limit: exponent=(1, 1) is the identity.
    """
    low, high = ordered("gamma", "exponent", exponent)
    values = np.arange(256) / 255

    def apply(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return cv2.LUT(image, np.rint(255 * values ** rng.uniform(low, high)).astype(np.uint8))

    return Step(apply, p)


@AUGMENTATIONS.register
def posterize(size: int, /, bits: Bits = 4, p: Probability = 0.5) -> Step:
    """Posterize: keeps the `bits` highest bits of every value.

    Source: Cubuk et al., "AutoAugment: Learning Augmentation Policies from Data", 2019, appendix, table 6.
    Limit: bits=8 is the identity.
    """
    kept = np.uint8(256 - (1 << (8 - bits)))
    return Step(lambda image, rng: image & kept, p)


@AUGMENTATIONS.register
def blur(size: int, /, kernel: Annotated[int, Ge(3)] = 7, p: Probability = 0.5) -> Step:
    """Blur: averages over a square of an odd number of pixels from 3 to `kernel`.

    Source: Dodge, Karam, "Understanding How Image Quality Affects Deep Neural Networks", 2016, section 3.
    """
    return Step(albumentation("Blur", blur_limit=(3, kernel)), p)
