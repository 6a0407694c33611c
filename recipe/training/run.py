"""What every fold of a run shares, for `folds.train_folds`; and the epoch to keep so far, for validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recipe.config import Config
from recipe.data.table import Table
from recipe.models.classifier import Classifier
from recipe.models.start import Start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import Preprocessing
from recipe.system.runtime import Runtime
from recipe.training.clock.pacer import Pacer
from recipe.training.said import Progress


@dataclass
class Run:
    """What every fold of a run shares."""

    start: Start  # folds copy its network
    table: Table
    pictures: Pictures  # of the table's rows
    runtime: Runtime
    folder: Path
    metric: str = "accuracy"
    features: np.ndarray | None = None  # (N, D) for the probe
    number: str = ""  # in run.json and in every state
    pacer: Pacer = field(default_factory=Pacer)  # the clock; by default one that decides nothing
    progress: Progress = field(default_factory=Progress)  # who is told; by default nobody

    @property
    def config(self) -> Config:
        """The settings."""
        return self.start.config

    @property
    def model(self) -> Classifier:
        """The network at its start."""
        return self.start.model

    @property
    def preprocessing(self) -> Preprocessing:
        """What a picture goes through before the network."""
        return self.start.preprocessing


@dataclass
class Best:
    """The epoch to keep: chosen by validation only, by score and then by loss."""

    score: float = -np.inf
    loss: float = np.inf
    epoch: int = -1

    def beaten_by(self, score: float, loss: float, higher_is_better: bool) -> bool:
        """Whether a new epoch is better."""
        sign = 1 if higher_is_better else -1
        return self.epoch < 0 or (sign * score, -loss) > (sign * self.score, -self.loss)
