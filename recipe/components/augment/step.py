"""What every augmentation is made of: a step drawn with probability p, its registry, the way to albumentations.

A component takes the context (size,) and returns a `Step`. Its `apply` gets a picture, (h, w, 3) uint8, and a numpy
generator, and returns a picture of the same type. All randomness comes from that generator: neither the global state of
`random`, `numpy.random` nor torch's default generator is read or moved, so pictures prepared in background threads
cannot disturb the run's own draws (dropout, mixup, resume).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocol.language import tr
from recipe.registry import Registry, SpecError

Apply = Callable[[np.ndarray, np.random.Generator], np.ndarray]

AUGMENTATIONS = Registry(
    "augmentation", accepts="a picture (h, w, 3) uint8 and a random generator; gives a picture (uint8)"
)


@dataclass(frozen=True)
class Step:
    """One augmentation, drawn with probability `p`; `crops` says that `apply` makes the picture (size, size, 3)."""

    apply: Apply
    p: float
    crops: bool = False

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The augmented picture with probability p, else the picture itself. Limit: p=0 is the identity."""
        return self.apply(image, rng) if rng.random() < self.p else image


def albumentation(name: str, **settings: Any) -> Apply:
    """An albumentations transform as `apply`: applied always, drawing from the given generator alone.

    The object keeps its draw in itself, so a thread needs one of its own (`Augment` sees to that). The package is
    imported here, when a pipeline that uses it is built, and is told not to look for updates on the network.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    transform = getattr(albumentations, name)(p=1.0, **settings)

    def apply(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        transform.set_random_state(rng, random.Random(int(rng.integers(1 << 62))))
        return transform(image=image)["image"]

    return apply


def ordered(component: str, setting: str, low_high: tuple[float, float]) -> tuple[float, float]:
    """The pair itself.

    Raises:
        SpecError: its first number is the larger one.
    """
    low, high = low_high
    if low > high:
        raise SpecError(
            tr(
                "augmentation {component!r}: {setting}={low_high} is refused: write the smaller number first.",
                component=component,
                setting=setting,
                low_high=low_high,
            )
        )
    return low_high
