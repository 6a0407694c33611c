"""TensorBoard events of a run: scalars of every epoch and fold, the report's charts, settings as hyper-parameters.

    write_events(Path("data/output/model"))        # then: tensorboard --logdir data/output/model/tensorboard

The events are made from log.jsonl, metrics.json and report/*.png, so they can be made again at any time. For curves
while training runs, give `LiveEvents(folder)` to `on_epoch`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from recipe.runs.epochs import read_logs
from recipe.runs.folder import read_about, read_scores
from recipe.runs.results import EpochLog
from recipe.runs.trackers.told import SCALARS

FOLDER = "tensorboard"


class LiveEvents:
    """Callable for `on_epoch`: a writer per fold, so that the folds are lines of one chart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self.writers: dict[int, Any] = {}

    def __call__(self, log: EpochLog) -> None:
        """Writes the scalars of an epoch at once."""
        if log.fold not in self.writers:
            self.writers[log.fold] = _writer(self.folder / f"fold{log.fold}")
        writer = self.writers[log.fold]
        for tag, column in SCALARS.items():
            writer.add_scalar(tag, getattr(log, column), log.epoch)
        writer.flush()

    def close(self) -> None:
        """Closes the files."""
        for writer in self.writers.values():
            writer.close()
        self.writers.clear()


class Events:
    """The tracker: everything is made at the end, from the files of the run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def epoch(self, log: EpochLog) -> None:
        """It stands in log.jsonl."""

    def close(self, totals: dict[str, float]) -> str:
        """Writes them."""
        return f"tensorboard --logdir {write_events(self.folder)}"


def write_events(folder: Path) -> Path:
    """Writes RUN/tensorboard anew from the files of a finished run; returns the folder.

    Raises:
        RunError: the run is not finished.
    """
    info, totals, logs = read_about(folder), read_scores(folder), read_logs(folder / "log.jsonl")
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    live = LiveEvents(folder)
    for log in logs:
        live(log)
    live.close()
    _write_images(folder / FOLDER / "report", sorted((folder / "report").glob("*.png")))
    _write_settings(folder / FOLDER, info["config"], totals)
    return folder / FOLDER


def _writer(folder: Path) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def _write_images(folder: Path, paths: Iterable[Path]) -> None:
    from recipe.pictures.decode import read

    writer = _writer(folder)
    for path in paths:
        writer.add_image(path.stem, read(path), dataformats="HWC")
    writer.close()


def _write_settings(folder: Path, settings: dict[str, Any], totals: dict[str, Any]) -> None:
    """The hyper-parameter tab: one row, with the out-of-fold score, the mean and the deviation of the folds."""
    writer = _writer(folder)
    scores = {f"hparam/{name}": float(totals[name]) for name in ("oof", "mean", "std") if np.isfinite(totals[name])}
    plain = {
        name: value if isinstance(value, int | float | str | bool) else str(value) for name, value in settings.items()
    }
    writer.add_hparams(plain, scores, run_name="settings")
    writer.close()
