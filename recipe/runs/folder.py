"""A finished run as its folder tells it: rows, labels, folds and the settings it answers with."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipe.data.table import Table, read
from recipe.errors import UserError
from recipe.pictures.preprocessing import Preprocessing
from recipe.plain_files import read_json
from recipe.proposal import go_on
from recipe.runs.description import fold_folders, read_description
from recipe.runs.ensemble import Serving, read_serving


class TuneError(UserError, ValueError):
    """A run, or a wish, that nothing can be chosen for; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class RunFolder:
    """What choosing needs of a finished run."""

    folder: Path
    names: tuple[str, ...]  # (N,) pictures as train.csv writes them
    labels: np.ndarray  # (N,) int64
    fold_of: np.ndarray  # (N,) int64; -1 for rows that no trained fold left out
    classes: tuple[str, ...]
    fingerprint: str
    source: str  # the table it was trained on
    metric: str
    serving: Serving
    views: str  # of the settings
    preprocessing: Preprocessing

    @property
    def rows(self) -> np.ndarray:
        """Rows that have an out-of-fold answer."""
        return np.flatnonzero(self.fold_of >= 0)

    @property
    def folds(self) -> list[tuple[Path, np.ndarray]]:
        """Each trained fold's folder and its validation rows, ascending."""
        numbers = np.unique(self.fold_of[self.rows]).tolist()
        return [(self.folder / f"fold{number}", np.flatnonzero(self.fold_of == number)) for number in numbers]

    def paths(
        self, source: Path | None, image_column: str = "image_path", label_column: str = "label"
    ) -> Sequence[Path]:
        """The pictures on this machine, by row. Raises as `table` does."""
        return self.table(source, image_column, label_column).paths

    def table(self, source: Path | None, image_column: str = "image_path", label_column: str = "label") -> Table:
        """The very rows of the run, with the pictures on this machine.

        Raises:
            TuneError: the data are others than those the run was trained on.
        """
        table = read(source or self.source, image_column, label_column)
        row_of = {name: row for row, name in enumerate(table.names)}
        missing = [name for name in self.names if name not in row_of]
        kept = table.take([row_of[name] for name in self.names if name in row_of])
        if missing or kept.fingerprint != self.fingerprint:
            what = f"has no picture {missing[0]!r}" if missing else "has other labels"
            raise TuneError(
                f"{table.source} {what}: it is not what {self.folder} was trained on. Give its own data with --data."
            )
        return kept


def open_run_folder(folder: Path) -> RunFolder:
    """A finished run.

    Raises:
        TuneError: the run is not finished or of an older version.
        CheckpointError: it holds no trained fold.
    """
    description = read_description(fold_folders(folder)[0])
    try:
        about = read_json(folder / "run.json")
        metric = read_json(folder / "metrics.json")["metric"]
        names, labels, fold_of = _rows(folder / "oof.csv", about["classes"])
    except (FileNotFoundError, KeyError) as error:
        lack = error.filename if isinstance(error, FileNotFoundError) else f"the entry {error}"
        raise TuneError(
            f"{folder} lacks {lack}: only a finished run can be tuned. Go on with it: {go_on(folder)}."
        ) from None
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise TuneError(
            f"{folder} cannot be read ({error}): restore run.json, metrics.json and oof.csv, or train again."
        ) from None
    return RunFolder(
        folder, names, labels, fold_of, tuple(about["classes"]), about["fingerprint"], about.get("source", ""), metric,
        read_serving(folder), description.config.views, description.preprocessing,
    )  # fmt: skip


def _rows(file: Path, classes: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names, label numbers and folds of an oof.csv."""
    with open(file, encoding="utf-8", newline="") as stream:
        lines: list[dict[str, Any]] = list(csv.DictReader(stream))
    number = {name: place for place, name in enumerate(classes)}
    labels = np.array([number[line["label"]] for line in lines], np.int64)
    return (
        tuple(line["image_path"] for line in lines),
        labels,
        np.array([int(line["fold"] or -1) for line in lines], np.int64),
    )


def open_run_folders(folders: Sequence[Path]) -> list[RunFolder]:
    """Finished runs that may answer together.

    Raises:
        TuneError: they were trained on other rows or classes, judged by other metrics, or are the same folder twice.
    """
    first, *others = runs = [open_run_folder(folder) for folder in folders]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise TuneError("a run is named twice; name each once, its weight is found.")
    for other in others:
        for what in ("classes", "fingerprint", "metric"):
            if (here := getattr(first, what)) != (there := getattr(other, what)):
                raise TuneError(
                    f"{first.folder} and {other.folder} cannot answer together: they differ in {what} "
                    f"({_short(here)} against "
                    f"{_short(there)}). Train both on the same train.csv and metric."
                )
    if first.serving.members and not others:
        names = ", ".join(member.run for member in first.serving.members)
        raise TuneError(
            f"{first.folder} joins several runs ({names}); name all of them again, or delete its ensemble.json to "
            "begin anew."
        )
    return runs


def _short(value: Any) -> str:
    return ", ".join(value[:5]) + ("..." if len(value) > 5 else "") if isinstance(value, tuple) else str(value)
