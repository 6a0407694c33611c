"""Pictures for AugMix's consistency term: a clean view and two augmented ones of each, which `consistency` compares.

Source: Hendrycks et al., "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty", 2020, section 3.
"""

from __future__ import annotations

import numpy as np

from recipe.augment import Augment
from recipe.registry import SpecError, parse_many

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
            raise SpecError(f"The consistency term compares views made by augmix, and {text!r} has none; add 'augmix()'.")
        first = names.index("augmix")
        self.shared = Augment(", ".join(map(str, specs[:first])), size, crop_pct)
        self.own = Augment(", ".join(map(str, specs[first:])), size)

    def __call__(self, image: np.ndarray, seed: int) -> np.ndarray:
        """The stacked views; the result depends on picture and seed alone."""
        clean = self.shared(image, seed)
        seeds = np.random.SeedSequence(seed).generate_state(VIEWS - 1, np.uint64)
        return np.concatenate([clean, *(self.own(clean, int(own_seed)) for own_seed in seeds)])
