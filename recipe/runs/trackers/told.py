"""What a tracker is told: what the run is, and the figures of an epoch by name."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipe.runs.results import EpochLog

SCALARS = {
    "loss/train": "train_loss",
    "loss/valid": "valid_loss",
    "score/valid": "valid_score",
    "lr": "lr",
    "pictures_per_second": "pictures_per_second",
}


@dataclass(frozen=True)
class Told:
    """What a tracker is told of a run at its beginning."""

    folder: Path
    competition: str
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """How the run is called in a list of runs."""
        return f"{self.competition} {self.folder.name}"


def numbers_of(log: EpochLog) -> dict[str, float]:
    """The finite figures of an epoch under names such as `fold0/loss/valid`."""
    found = {name: float(getattr(log, column)) for name, column in SCALARS.items()}
    return {f"fold{log.fold}/{name}": value for name, value in found.items() if np.isfinite(value)}


def package(name: str) -> Any:
    """A tracker's package, imported by name where it is asked for: a submission does not need it.

    Raises:
        ImportError: it is not installed.
    """
    return importlib.import_module(name)
