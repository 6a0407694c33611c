"""The files of a run, read for everybody: run.json, metrics.json, oof.csv, and with them a finished run as a whole."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from protocol.columns import IMAGE, LABEL
from protocol.errors import UserError
from protocol.language import tr
from protocol.plain_files import read_json
from recipe.data.reading import read
from recipe.data.table import Table
from recipe.pictures.preprocessing import Preprocessing
from recipe.proposal import proposed
from recipe.runs.description import fold_folders, read_description
from recipe.runs.ensemble import HERE, Answering, read_answering

PLAN = "plan.json"  # of a run that a clock planned, or of the probe alone


class RunError(UserError, ValueError):
    """A run folder whose files are absent, damaged or of something else; the message says which and what to do."""


class TuneError(RunError):
    """A run, or a wish, that nothing can be chosen for; the message says why and what to do."""


def read_about(folder: Path) -> dict[str, Any]:
    """run.json: settings, classes, data, code and versions that a run began with.

    Raises:
        RunError: there is none, or it cannot be read.
    """
    return _content(folder, "run.json")


def read_scores(folder: Path) -> dict[str, Any]:
    """metrics.json, which a finished run has.

    Raises:
        RunError: there is none, or it cannot be read.
    """
    return _content(folder, "metrics.json")


def _content(folder: Path, name: str) -> dict[str, Any]:
    try:
        return read_json(folder / name)
    except FileNotFoundError:
        raise RunError(
            tr(
                "{folder} holds no finished run ({name} is missing); train first: {proposed}",
                folder=folder,
                name=name,
                proposed=proposed("main"),
            )
        ) from None
    except (OSError, ValueError) as error:
        raise RunError(
            tr("{folder} cannot be read ({error}): restore it, or train again.", folder=folder / name, error=error)
        ) from None


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What the folds say of rows that they were not trained on: an oof.csv."""

    names: tuple[str, ...]  # (N,) pictures as train.csv writes them
    labels: np.ndarray  # (N,) int64; -1 where there is none of the classes
    fold_of: np.ndarray  # (N,) int64; -1 for rows that no trained fold left out
    probs: np.ndarray  # (N, K) float32; NaN for those

    def of(self, names: Sequence[str]) -> np.ndarray:
        """(M, K) probabilities in another order of pictures; NaN for those that it does not hold."""
        row_of = {name: row for row, name in enumerate(self.names)}
        unknown = np.full((1, self.probs.shape[1]), np.nan, np.float32)
        return np.concatenate([self.probs, unknown])[[row_of.get(name, -1) for name in names]]


def read_oof(file: Path, classes: Sequence[str]) -> OutOfFold:
    """The out-of-fold answers of a run that knows these classes, in columns of any order.

    Raises:
        RunError: the file is absent, damaged or of other classes.
    """
    columns = [f"p_{name}" for name in classes]
    number = {name: label for label, name in enumerate(classes)}
    try:
        lines, known = _lines(file)
        if lacking := [name for name in ("image_path", *columns) if name not in known]:
            raise RunError(
                tr(
                    "{file} has no column {lacking!r}: the run was trained with other classes.",
                    file=file,
                    lacking=lacking[0],
                )
            )
        probs = np.array([[float(line[name] or "nan") for name in columns] for line in lines], np.float32)
        labels = np.array([number.get(line.get("label") or "", -1) for line in lines], np.int64)
        fold_of = np.array([int(line.get("fold") or -1) for line in lines], np.int64)
    except FileNotFoundError:
        train = proposed("main")
        raise RunError(
            tr("there is no {file}; give the oof.csv of a finished run, or train: {train}", file=file, train=train)
        ) from None
    except (OSError, ValueError, LookupError, TypeError, csv.Error) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(tr("{file} is damaged ({error}): restore it, or train again.", file=file, error=error)) from None
    return OutOfFold(tuple(line["image_path"] for line in lines), labels, fold_of, probs.reshape(-1, len(classes)))


def _lines(file: Path) -> tuple[list[dict[str, str]], Sequence[str]]:
    with open(file, encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        return list(reader), reader.fieldnames or ()


def read_answers(folder: Path, classes: Sequence[str]) -> OutOfFold:
    """The oof.csv of a run folder, whose every row has a label of these classes.

    Raises:
        RunError: as `read_oof`, or a row has none.
    """
    found = read_oof(folder / "oof.csv", classes)
    if (lacking := np.flatnonzero(found.labels < 0)).size:
        raise RunError(
            tr(
                "{folder} gives {names!r} a label that is none of the run's classes: restore it, or train again.",
                folder=folder / "oof.csv",
                names=found.names[lacking[0]],
            )
        )
    return found


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
    serving: Answering
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
        self, source: Path | None, image_column: str = IMAGE, label_column: str = LABEL, encoding: str = ""
    ) -> Sequence[Path]:
        """The pictures on this machine, by row. Takes and raises what `table` does."""
        return self.table(source, image_column, label_column, encoding).paths

    def table(
        self, source: Path | None, image_column: str = IMAGE, label_column: str = LABEL, encoding: str = ""
    ) -> Table:
        """The very rows of the run, with the pictures on this machine.

        Args:
            source: folder or CSV; where the run found its data when None.
            image_column, label_column, encoding: of the CSV, as for `read`.

        Raises:
            TuneError: the data are others than those the run was trained on.
        """
        table = read(source or self.source, image_column, label_column, encoding=encoding)
        row_of = {name: row for row, name in enumerate(table.names)}
        missing = [name for name in self.names if name not in row_of]
        kept = table.take([row_of[name] for name in self.names if name in row_of])
        if missing or kept.fingerprint != self.fingerprint:
            what = tr("has no picture {missing!r}", missing=missing[0]) if missing else tr("has other labels")
            raise TuneError(
                tr(
                    "{source} {what}: it is not what {folder} was trained on. Give its own data with --data.",
                    source=table.source,
                    what=what,
                    folder=self.folder,
                )
            )
        return kept


def only_probe(folder: Path) -> bool:
    """Whether all that answers is the probe: of a run without epochs, or of one whose time sufficed for no more."""
    if (folder / PLAN).exists() and _content(folder, PLAN).get("all_rows"):
        return True
    members = read_answering(folder).members
    return bool(members) and not any(folder.glob("fold*/result.json")) and all(m.run != HERE for m in members)


def open_run_folder(folder: Path) -> RunFolder:
    """A finished run.

    Raises:
        RunError: the run is not finished or of an older version.
        CheckpointError: it holds no trained fold.
    """
    if only_probe(folder):
        raise RunError(
            tr(
                "only the probe answers in {folder}, and it has seen every row, so nothing is left to "
                "choose by; give more --minutes, or train with --plan fixed.",
                folder=folder,
            )
        )
    description = read_description(fold_folders(folder)[0])
    about, scores = read_about(folder), read_scores(folder)
    try:
        classes, metric, fingerprint = tuple(about["classes"]), scores["metric"], about["fingerprint"]
    except (KeyError, TypeError) as error:
        raise RunError(
            tr("{folder} lacks {error}: restore run.json and metrics.json, or train again.", folder=folder, error=error)
        ) from None
    oof = read_answers(folder, classes)
    return RunFolder(
        folder, oof.names, oof.labels, oof.fold_of, classes, fingerprint, about.get("source", ""), metric,
        read_answering(folder), description.config.views, description.preprocessing,
    )  # fmt: skip


def open_run_folders(folders: Sequence[Path]) -> list[RunFolder]:
    """Finished runs that may answer together.

    Raises:
        TuneError: they were trained on other rows or classes, judged by other metrics, or are the same folder twice.
    """
    first, *others = runs = [open_run_folder(folder) for folder in folders]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise TuneError(tr("a run is named twice; name each once, its weight is found."))
    for other in others:
        for what in ("classes", "fingerprint", "metric"):
            if (here := getattr(first, what)) != (there := getattr(other, what)):
                raise TuneError(
                    tr(
                        "{one} and {other} cannot answer together: they differ in {what} ({of_one} against "
                        "{of_other}). Train both on the same train.csv and metric.",
                        one=first.folder,
                        other=other.folder,
                        what=what,
                        of_one=_short(here),
                        of_other=_short(there),
                    )
                )
    if first.serving.members and not others:
        names = ", ".join(member.run for member in first.serving.members)
        raise TuneError(
            tr(
                "{folder} joins several runs ({names}); name all of them again, or delete its "
                "ensemble.json to begin anew.",
                folder=first.folder,
                names=names,
            )
        )
    return runs


def _short(value: Any) -> str:
    return ", ".join(value[:5]) + ("..." if len(value) > 5 else "") if isinstance(value, tuple) else str(value)
