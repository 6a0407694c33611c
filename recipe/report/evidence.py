"""What a page is made from: labels, probabilities, the run's files. Nothing of training is needed to read it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from protocol.language import tr
from recipe.config import Config
from recipe.data.duplicates import find_pairs, groups_of, thumbnail
from recipe.data.image_paths import find_images
from recipe.data.table import Table
from recipe.pictures.cache import Pictures
from recipe.pictures.errors import UnreadablePicture
from recipe.runs.epochs import read_logs
from recipe.runs.folder import read_about, read_answers, read_scores
from recipe.runs.results import EpochLog


@dataclass(frozen=True, eq=False)
class Evidence:
    """A run and a labelled table with its probabilities: its own out-of-fold rows, or another, answered, table."""

    folder: Path  # of the run
    title: str
    info: dict[str, Any]  # run.json
    totals: dict[str, Any]  # metrics.json
    logs: Sequence[EpochLog]
    names: Sequence[str]  # (N,) pictures as the table writes them
    labels: np.ndarray  # (N,) int64
    probs: np.ndarray  # (N, K) float32; NaN for rows without a prediction
    fold_of: np.ndarray  # (N,) int64, the fold that left the row out; -1 where none did
    pictures: Pictures | None = None  # of the N rows
    no_pictures: str = ""  # why they are absent
    out_of_fold: bool = True  # else the rows of another table, answered by all folds
    notes: Sequence[str] = field(default_factory=tuple)  # what the reader of the table should know of it
    table: Path | None = None  # the other table

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """(K,) names to show."""
        return tuple(str(name) for name in self.info["classes"])

    @cached_property
    def config(self) -> Config:
        """The settings of the run."""
        return Config.model_validate(self.info["config"])

    @property
    def metric(self) -> str:
        """The score that the run was judged by."""
        return str(self.totals["metric"])

    @cached_property
    def scored(self) -> np.ndarray:
        """Numbers of the rows that have a prediction."""
        return np.flatnonzero(np.isfinite(self.probs[:, 0]))

    @cached_property
    def answers(self) -> np.ndarray:
        """(N,) the most probable class; -1 for rows without a prediction."""
        answers = np.full(len(self.labels), -1)
        answers[self.scored] = self.probs[self.scored].argmax(axis=1)
        return answers

    @property
    def folds(self) -> list[int]:
        """Numbers of the trained folds."""
        return sorted({int(fold) for fold in self.fold_of[self.scored]} - {-1})

    @property
    def rows_word(self) -> str:
        """How the scored rows are called in a sentence."""
        return tr("out-of-fold pictures") if self.out_of_fold else tr("pictures of the table")

    def picture(self, row: int) -> np.ndarray | None:
        """The decoded picture of a row; None where it cannot be had."""
        try:
            return None if self.pictures is None else self.pictures[row]
        except (UnreadablePicture, FileNotFoundError):
            return None

    @cached_property
    def copies(self) -> np.ndarray:
        """(N,) int64: rows of the same picture, resized, saved anew or mirrored, share one; unreadable are alone."""
        with ThreadPoolExecutor() as pool:
            thumbnails = list(pool.map(self._thumbnail, range(len(self.names))))
        return groups_of(find_pairs(np.array(thumbnails), [""] * len(thumbnails)), len(thumbnails))

    def _thumbnail(self, row: int) -> np.ndarray:
        image = self.picture(row)
        return thumbnail(np.zeros((1, 1, 3), np.uint8) if image is None else image)

    def unseen(self) -> np.ndarray:
        """Rows that the first trained fold's network has not been trained on."""
        return self.scored[self.fold_of[self.scored] == self.folds[0]] if self.folds else self.scored


def title_of(folder: Path, info: Mapping[str, Any]) -> str:
    """The competition, the run folder and when it began: `Birds, model of 2026-11-26 02:30`."""
    entered = (info.get("competition") or {}).get("id", "")
    began = info.get("began")
    when = (
        tr(" of {strftime}", strftime=time.strftime("%Y-%m-%d %H:%M", time.localtime(began)))
        if isinstance(began, int | float)
        else ""
    )
    return f"{entered}, {folder.name}{when}" if entered not in ("", "-") else f"{folder.name}{when}"


def of_run(
    folder: Path, data: Path | None = None, table: Table | None = None, pictures: Pictures | None = None
) -> Evidence:
    """The out-of-fold evidence of a finished run.

    Args:
        folder: the run folder.
        data: the competition's folder or CSV, where it has moved since; by default the place that run.json names.
        table: as it was trained on; with `pictures` it saves looking for them.

    Raises:
        RunError: the run is absent, not finished or of an earlier version.
    """
    info, totals, logs = read_about(folder), read_scores(folder), read_logs(folder / "log.jsonl")
    oof = read_answers(folder, info["classes"])
    reason = ""
    if table is None or pictures is None or tuple(table.names) != oof.names:
        pictures, reason = _find_pictures(oof.names, data or Path(info.get("source") or folder), folder)
    return Evidence(
        folder,
        title_of(folder, info),
        info,
        totals,
        logs,
        oof.names,
        oof.labels,
        oof.probs,
        oof.fold_of,
        pictures,
        reason,
    )


def _find_pictures(names: Sequence[str], source: Path, folder: Path) -> tuple[Pictures | None, str]:
    from recipe.pictures.preprocessing import short_side
    from recipe.runs.description import fold_folders, read_description

    if not source.exists():
        return None, tr("{source} does not exist any more; name the data with --data FOLDER", source=source)
    csv_file = source if source.is_file() else source / "train.csv"
    paths, _ = find_images(csv_file, names, csv_file.parent)
    if not any(path.is_file() for path in paths[:: max(1, len(paths) // 50)]):
        return None, tr("the pictures are not below {parent}; name the data with --data FOLDER", parent=csv_file.parent)
    return Pictures(paths, short_side(read_description(fold_folders(folder)[0]).preprocessing), cache_mb=256), ""
