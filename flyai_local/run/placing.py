"""Lays a competition's training data into a work folder, where each generation of submissions looks for it."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from flyai_local.contest.competitions import Competition, place
from flyai_local.run.hidden import own_folder
from flyai_local.submission.submission import Submission

__all__ = ["lay_out", "take_back"]

TEST_EVERY = 5  # 1.x: every fifth training row is in test.csv; the platform's own split is not known
DEV_ROWS = 100  # 1.x: dev.csv held a hundred rows


def lay_out(chosen: Competition, submission: Submission, project: Path, limit: int | None) -> int:
    """Place the training part; returns the number of rows. Real copies, so that nothing can reach the originals.

    2.0: `data/input/<ID>/`, and a link under every other id that the submission asks for, because its own competition
    may be known here by another name. 1.x: `data/input/` itself with train.csv, test.csv and dev.csv, under the column
    names of its own app.yaml.
    """
    if submission.generation == "1.x":
        folder = own_folder(project, "data", "input")
        count = place(chosen, folder, limit=limit, copy=True)
        _split(folder, submission.columns or chosen.columns)
        return count
    folder = own_folder(project, "data", "input", chosen.id)
    count = place(chosen, folder, limit=limit, copy=True)
    for name in submission.ids:
        other = folder.parent / name
        if not other.exists() and not other.is_symlink():
            _alias(folder, other)
    return count


def take_back(chosen: Competition, submission: Submission, project: Path) -> None:
    """Remove what `lay_out` placed: a finished run keeps its models, not another copy of the pictures."""
    inputs = own_folder(project, "data", "input")
    names = ["image", chosen.id] if submission.generation == "1.x" else [chosen.id, *submission.ids]
    for path in [inputs / name for name in names]:
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
    for name in ("train.csv", "test.csv", "dev.csv"):
        (inputs / name).unlink(missing_ok=True)


def _split(folder: Path, columns: tuple[str, ...]) -> None:
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    # The SDK of that time joined data/input and the path.
    rows = [[image.removeprefix("./"), label] for image, label in rows]
    test = rows[::TEST_EVERY]
    train = [row for at, row in enumerate(rows) if at % TEST_EVERY]
    for name, part in (("train.csv", train or test), ("test.csv", test), ("dev.csv", rows[:DEV_ROWS])):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([columns, *part])


def _alias(folder: Path, other: Path) -> None:
    try:
        other.symlink_to(folder.name, target_is_directory=True)
    except OSError:  # Windows without the privilege for links
        shutil.copytree(folder, other)
