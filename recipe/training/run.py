"""What every fold of a run shares, and how the epoch to keep is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recipe.config import Config
from recipe.data.table import Table
from recipe.models.classifier import Classifier
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import Preprocessing
from recipe.runs.results import EpochLog
from recipe.system.runtime import Runtime
from recipe.training.clock.pacer import Pacer


@dataclass
class Job:
    """What every fold of a run shares."""

    config: Config
    table: Table
    pictures: Pictures
    model: Classifier  # at its start; folds copy it
    preprocessing: Preprocessing
    runtime: Runtime
    features: np.ndarray | None  # (N, D) for the probe
    folder: Path
    metric: str
    on_step: Callable[[int, str], None]  # steps done, what is being done
    on_epoch: Callable[[EpochLog], None]
    on_logs: Callable[[int, list[EpochLog]], None] = lambda fold, logs: (
        None
    )  # all epochs of a fold, when it is taken up again
    check_stop: Callable[[], None] = lambda: None  # raises Stopped once a signal has come
    run: str = ""  # its number, in every state
    pacer: Pacer = field(default_factory=Pacer)  # the clock; by default one that decides nothing


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
