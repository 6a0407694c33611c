"""The loader's transform from a spec string: a function of picture and seed, or of one picture to three for AugMix.

A spec such as `scale_crop(), hflip(p=0.5), one_of(gauss_noise(), blur(), p=0.3)` becomes an `Augment`. `AugmentViews`
gives a clean view and two augmented ones, which the consistency term in recipe/training/step/objective.py compares.

Source: Hendrycks et al., "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty", 2020, section
3.
"""

from __future__ import annotations

import threading

import numpy as np

from protocol.language import tr
from recipe.components.augment import colour as augment_colour  # noqa: F401  (importing registers the components)
from recipe.components.augment import crop as augment_crop  # noqa: F401  (importing registers the components)
from recipe.components.augment import erase as augment_erase  # noqa: F401  (importing registers the components)
from recipe.components.augment import geometry as augment_geometry  # noqa: F401  (importing registers the components)
from recipe.components.augment import policy as augment_policy  # noqa: F401  (importing registers the components)
from recipe.components.augment.step import AUGMENTATIONS, Step
from recipe.pictures.decode import prepare
from recipe.registry import Probability, Spec, SpecError, parse_many

CONTEST_CHOICES = "gauss_noise, clahe, jpeg_compression, gamma, posterize, blur"


@AUGMENTATIONS.register
def one_of(size: int, /, *transforms: Spec, p: Probability = 0.5) -> Step:
    """OneOf: applies exactly one of the given augmentations, chosen in proportion to their own p. Bare, it chooses
    among the contest entry's six.

    Source: Buslaev et al., "Albumentations: Fast and Flexible Image Augmentations", 2020, section 3.
    Limit: p=0 is the identity; with one augmentation inside it is that augmentation with probability p.
    """
    choices = [AUGMENTATIONS.build(spec, size) for spec in transforms or parse_many(CONTEST_CHOICES)]
    shares = np.array([choice.p for choice in choices])
    if not shares.sum():
        raise SpecError(tr("augmentation 'one_of': every augmentation inside has p=0; give at least one a larger p."))
    if len({choice.crops for choice in choices}) > 1:
        raise SpecError(
            tr(
                "augmentation 'one_of': cropping and other augmentations cannot be alternatives; put "
                "only one sort inside."
            )
        )
    bounds = np.cumsum(shares / shares.sum())

    def apply(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return choices[min(int(np.searchsorted(bounds, rng.random(), side="right")), len(choices) - 1)].apply(
            image, rng
        )

    return Step(apply, p, crops=choices[0].crops)


class Augment:
    """A pipeline: picture (h, w, 3) uint8 of any size and a seed to (size, size, 3) uint8.

    The result depends on picture and seed alone, whatever thread calls and however many do: each thread has steps of
    its own. Where no step cuts the picture to the network's size, the evaluation crop (`decode.prepare` with
    `crop_pct`) comes first; where a cropping step was not drawn, it takes that step's place. An empty text is the
    evaluation crop alone.
    """

    def __init__(self, text: str, size: int, crop_pct: float = 1.0) -> None:
        self.text, self.size, self.crop_pct = text, size, crop_pct
        self._thread = threading.local()
        self.crops = any(step.crops for step in self.steps())

    def steps(self) -> list[Step]:
        """The calling thread's own steps, built at its first call."""
        if not hasattr(self._thread, "steps"):
            self._thread.steps = [AUGMENTATIONS.build(spec, self.size) for spec in parse_many(self.text)]
        return self._thread.steps

    def __call__(self, image: np.ndarray, seed: int) -> np.ndarray:
        """The augmented picture, (size, size, 3) uint8, contiguous."""
        rng = np.random.default_rng(seed)
        image = image if self.crops else self._square(image)
        for step in self.steps():
            image = step(image, rng)
            image = self._square(image) if step.crops else image
        return np.ascontiguousarray(image)

    def _square(self, image: np.ndarray) -> np.ndarray:
        return image if image.shape[:2] == (self.size, self.size) else prepare(image, self.size, self.crop_pct)


VIEWS = 3  # clean, AugMix, AugMix


class AugmentViews:
    """A pipeline like `Augment` that gives three views one below the other, (3 * size, size, 3) uint8.

    What stands before `augmix` is drawn once and shared (crop, flip): this is the clean view. `augmix` and what follows
    it is drawn anew for the second and the third view.

    Raises:
        SpecError: the pipeline has no augmix.
    """

    def __init__(self, text: str, size: int, crop_pct: float = 1.0) -> None:
        specs = parse_many(text)
        names = [spec.name for spec in specs]
        if "augmix" not in names:
            raise SpecError(
                tr(
                    "The consistency term compares views made by augmix, and {given!r} has none; add 'augmix()'.",
                    given=text,
                )
            )
        first = names.index("augmix")
        self.shared = Augment(", ".join(map(str, specs[:first])), size, crop_pct)
        self.own = Augment(", ".join(map(str, specs[first:])), size)

    def __call__(self, image: np.ndarray, seed: int) -> np.ndarray:
        """The stacked views; the result depends on picture and seed alone."""
        clean = self.shared(image, seed)
        seeds = np.random.SeedSequence(seed).generate_state(VIEWS - 1, np.uint64)
        return np.concatenate([clean, *(self.own(clean, int(own_seed)) for own_seed in seeds)])
