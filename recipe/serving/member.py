"""One run among those that answer together: its folds, views, size and weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from protocol.language import tr
from recipe.components.views import build_views
from recipe.pictures.preprocessing import at_size
from recipe.runs.description import fold_folders, read_description
from recipe.runs.ensemble import Answering
from recipe.serving.averaging import average_probs
from recipe.serving.runtimes import Wish, load
from recipe.system.atomic import CheckpointError


class Member:
    """The folds of one run with the views, the size and the weights that they answer with.

    Args:
        folder: a run folder, which holds `fold0`, `fold1` and so on.
        serving: how it answers.
        wish: where the networks run, and in what.

    Raises:
        CheckpointError: nothing was trained there, or folds belong to different runs.
        ConfigError: the device or the demanded runtime is not to be had.
    """

    def __init__(self, folder: Path, serving: Answering, wish: Wish) -> None:
        self.folders, self.weights_file = fold_folders(folder), serving.weights_file
        first, *others = descriptions = [read_description(path) for path in self.folders]
        if any(d.values != first.values or d.preprocessing != first.preprocessing for d in others):
            raise CheckpointError(
                tr(
                    "the folds in {folder} belong to different runs (classes or sizes differ); train again "
                    "or remove the foreign ones.",
                    folder=folder,
                )
            )
        self.values, self.preprocessing = first.values, at_size(first.preprocessing, serving.test_size)
        self.prior = np.mean([description.prior for description in descriptions], axis=0, dtype=np.float32)
        self.views = build_views(serving.views or first.config.views, self.preprocessing.size)
        self.answering = load(self.folders, serving.weights_file, self.preprocessing, len(self.views), wish)

    @property
    def passes(self) -> int:
        """How often a picture goes through a network."""
        return len(self.folders) * len(self.views)

    def probs(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """Class probabilities (N,K) float32 of decoded pictures with the short side that `short_side` names."""
        return np.stack(
            list(average_probs(self.answering.networks, pictures, self.views, self.answering.crops_per_pass))
        )
