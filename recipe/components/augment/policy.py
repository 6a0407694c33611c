"""Augmentation policies: AutoAugment, RandAugment, TrivialAugment, AugMix.

The operations, their ranges and the learned tables are torchvision's. Its classes draw from torch's default generator,
which in a background thread would disturb the run's own draws and differ from run to run. So the draws are made here,
from the picture's own generator, and torchvision performs the operation drawn; no lock is needed. Interpolation is each
source's own: nearest pixel, bilinear in AugMix.
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from PIL import Image

from recipe.components.augment.step import AUGMENTATIONS, Step
from recipe.registry import Count, Positive, Probability

Magnitude = Annotated[int, Ge(0), Le(30)]
Severity = Annotated[int, Ge(1), Le(10)]

GREY = [128, 128, 128]  # for what moves in from outside, as in AutoAugment's own code


def _torchvision() -> ModuleType:
    from recipe.system import torchvision_guard  # noqa: F401, I001  (must come before torchvision)
    from torchvision.transforms import autoaugment

    return autoaugment


class Operations:
    """The operations of a torchvision policy at a size: {name: (magnitudes, whether their sign is drawn)}."""

    def __init__(self, policy: Any, bins: int, sized: bool = True) -> None:
        self._library = _torchvision()
        self._policy, self._bins, self._sized = policy, bins, sized
        self.of_size = lru_cache(maxsize=64)(self._of_size)

    def _of_size(self, width: int, height: int) -> dict[str, tuple[list[float], bool]]:
        sizes = [(height, width)] if self._sized else []
        table = self._policy._augmentation_space(self._bins, *sizes)
        return {name: (magnitudes.reshape(-1).tolist(), signed) for name, (magnitudes, signed) in table.items()}

    def perform(self, picture: Image.Image, name: str, level: int, rng: np.random.Generator) -> Image.Image:
        """The picture after one operation at a level (bin) of its range; a sign, where it has one, is drawn."""
        magnitudes, signed = self.of_size(*picture.size)[name]
        magnitude = magnitudes[min(level, len(magnitudes) - 1)] * (-1 if signed and rng.random() < 0.5 else 1)
        return self._library._apply_op(picture, name, magnitude, interpolation=self._policy.interpolation, fill=GREY)

    def draw(self, picture: Image.Image, levels: tuple[int, int], rng: np.random.Generator) -> Image.Image:
        """The picture after an operation drawn evenly, at a level drawn evenly from `levels` (both ends included)."""
        names = list(self.of_size(*picture.size))
        level = int(rng.integers(levels[0], levels[1] + 1))
        return self.perform(picture, names[rng.integers(len(names))], level, rng)


@AUGMENTATIONS.register
def autoaugment(
    size: int, /, policy: Literal["imagenet", "cifar10", "svhn"] = "imagenet", p: Probability = 1.0
) -> Step:
    """AutoAugment: one of 25 learned pairs of operations. Policies: imagenet, cifar10 (CIFAR-100 as well), svhn.

    Source: Cubuk, Zoph, Mane, Vasudevan, Le, "AutoAugment: Learning Augmentation Policies from Data", 2019, appendix.
    Limit: p=0 is the identity.
    """
    library = _torchvision()
    transform = library.AutoAugment(library.AutoAugmentPolicy(policy))
    operations = Operations(transform, bins=10)

    def apply(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        picture = Image.fromarray(image)
        for name, chance, level in transform.policies[rng.integers(len(transform.policies))]:
            if rng.random() < chance:
                picture = operations.perform(picture, name, level or 0, rng)
        return np.array(picture)

    return Step(apply, p)


@AUGMENTATIONS.register
def randaugment(size: int, /, count: Count = 2, magnitude: Magnitude = 9, p: Probability = 1.0) -> Step:
    """RandAugment: applies `count` operations drawn evenly from 14, all at the same `magnitude`, 0 to 30.

    Source: Cubuk, Zoph, Shlens, Le, "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space",
    2020, section 3.
    Limit: p=0 is the identity. Magnitude 0 is not: some operations (equalize, autocontrast) have no magnitude.
    """
    operations = Operations(_torchvision().RandAugment(), bins=31)

    def apply(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        picture = Image.fromarray(image)
        for _ in range(count):
            picture = operations.draw(picture, (magnitude, magnitude), rng)
        return np.array(picture)

    return Step(apply, p)


@AUGMENTATIONS.register
def trivialaugment(size: int, /, p: Probability = 1.0) -> Step:
    """TrivialAugment (wide): applies one operation drawn evenly from 14, at a strength drawn evenly. Nothing to tune.

    Source: Mueller, Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", 2021, section 3.
    Limit: p=0 is the identity.
    """
    operations = Operations(_torchvision().TrivialAugmentWide(), bins=31, sized=False)
    return Step(lambda image, rng: np.array(operations.draw(Image.fromarray(image), (0, 30), rng)), p)


@AUGMENTATIONS.register
def augmix(
    size: int,
    /,
    severity: Severity = 3,
    width: Count = 3,
    depth: Annotated[int, Ge(0), Le(10)] = 0,
    alpha: Positive = 1.0,
    all_operations: bool = False,
    p: Probability = 1.0,
) -> Step:
    """AugMix: blends `width` chains of operations with one another (Dirichlet) and with the picture (Beta).

    A chain has `depth` operations, 1 to 3 at random for depth=0. `all_operations` adds brightness, contrast, colour and
    sharpness, which the paper leaves out because its test corruptions hold them. For the consistency term see
    `augment_views` and `consistency`.

    Source: Hendrycks et al., "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty", 2020,
    section 3.
    Limit: p=0 is the identity.
    """
    operations = Operations(_torchvision().AugMix(all_ops=all_operations), bins=10)

    def chain(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        for _ in range(depth or rng.integers(1, 4)):
            picture = operations.draw(picture, (0, severity - 1), rng)
        return picture

    def apply(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        kept, shares = rng.beta(alpha, alpha), rng.dirichlet([alpha] * width)
        mixed = kept * image.astype(np.float32)
        for share in shares:
            mixed += (1 - kept) * share * np.asarray(chain(Image.fromarray(image), rng), dtype=np.float32)
        return (mixed + 0.5).clip(0, 255).astype(np.uint8)

    return Step(apply, p)
