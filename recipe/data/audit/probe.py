"""Out-of-fold probabilities without training, in a minute: logistic regression on a frozen network's features."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from recipe.config import Config
from recipe.data.folds import Fold
from recipe.data.table import Table
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import Preprocessing, short_side
from recipe.system.runtime import Runtime, choose_device
from recipe.training.contender.probe import fit_probe, probe_features


class FrozenNetwork:
    """A pretrained network that only makes features."""

    def __init__(self, backbone: str, image_size: int, device: str = "auto") -> None:
        """Finds the weights.

        Raises:
            UserError: they cannot be reached, or there is no such network.
        """
        self.config = Config.model_validate({"backbone": backbone, "image_size": image_size, "device": device})
        self._start = start(self.config, classes=2)
        self._runtime = Runtime(choose_device(device))

    @property
    def preprocessing(self) -> Preprocessing:
        """What its pictures need."""
        return self._start.preprocessing

    @property
    def short_side(self) -> int:
        """Of the pictures it takes, pixels."""
        return short_side(self.preprocessing)

    def features(self, pictures: Pictures, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """(N,D) float32 of the centre crops."""

        def counted() -> Iterator[np.ndarray]:
            for row in range(len(pictures)):
                if progress is not None:
                    progress(row + 1, len(pictures))
                yield pictures[row]

        model = self._start.model.to(self._runtime.device)
        return probe_features(model, counted(), self.preprocessing, self._runtime)


def oof_probs(features: np.ndarray, table: Table, folds: tuple[Fold, ...], c: float) -> np.ndarray:
    """(N,K) float32: each row by a probe that has not seen its fold, else NaN; `c` as in `fit_probe`."""
    probs = np.full((len(table), len(table.classes)), np.nan, np.float32)
    for fold in folds:
        probe = fit_probe(features[fold.train_rows], table.labels[fold.train_rows], len(table.classes), c)
        probs[fold.valid_rows] = probe.probs(features[fold.valid_rows])
    return probs
