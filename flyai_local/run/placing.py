"""Lays a competition's training data into a work folder, where each generation of submissions looks for it."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from flyai_local.box.folders import removed
from flyai_local.contest.competitions import Competition, place
from flyai_local.run.hidden import own_folder
from flyai_local.submission.submission import Submission
from protocol import card as public_card

__all__ = ["lay_out", "placed", "take_back"]

TEST_EVERY = 5  # 1.x: every fifth training row is in test.csv; the platform's own split is not known
DEV_ROWS = 100  # 1.x: dev.csv held a hundred rows
TABLES = ("train.csv", "test.csv", "dev.csv")


def lay_out(chosen: Competition, submission: Submission, project: Path, limit: int | None) -> int:
    """Place the training part; returns the number of rows. Real copies, so that nothing can reach the originals.

    2.0: `data/input/<ID>/`, and a link under every other id that the submission asks for, because its own competition
    may be known here by another name; its table then has the header that the code was written for.

    1.x: `data/input/` itself with train.csv, test.csv and dev.csv, under the column names of its own app.yaml. With a
    `limit` all three hold the same rows, as dev.csv alone served as both parts on a participant's machine. So a
    validation that must find one right answer before anything is saved has every row to find it in.

    What the submission itself has there makes way.
    """
    take_back(chosen, submission, project)
    if submission.generation == "1.x":
        folder = own_folder(project, "data", "input")
        count = place(chosen, folder, limit=limit, copy=True)
        _split(folder, submission.table(chosen.id, chosen.columns), whole=limit is not None)
        return count
    folder = own_folder(project, "data", "input", chosen.id)
    count = place(chosen, folder, limit=limit, copy=True)
    _name_columns(folder / "train.csv", submission.table(chosen.id, chosen.columns), chosen.metric)
    for name in submission.ids:
        other = folder.parent / name
        if not other.exists() and not other.is_symlink():
            _alias(folder, other)
    return count


def take_back(chosen: Competition, submission: Submission, project: Path) -> None:
    """Remove what `lay_out` placed: a finished run keeps its models, not another copy of the pictures."""
    inputs = own_folder(project, "data", "input")
    for name in placed(chosen, submission):
        removed(inputs / name)


def placed(chosen: Competition, submission: Submission) -> tuple[str, ...]:
    """Names below data/input that are the platform's."""
    if submission.generation == "1.x":
        return ("image", chosen.id, public_card.FILE, *TABLES)
    return tuple(dict.fromkeys([chosen.id, *submission.ids, *TABLES]))


def _name_columns(table: Path, columns: tuple[str, str], metric: str) -> None:
    """Write another header over a table that has the platform's plain form, and into the card beside it."""
    before, _, rows = table.read_text(encoding="utf-8").partition("\n")
    if before != ",".join(columns):
        with table.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(columns)
            file.write(rows)
        public_card.write(table.parent, columns, metric)


def _split(folder: Path, columns: tuple[str, ...], whole: bool) -> None:
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    # The SDK of that time joined data/input and the path.
    rows = [[image.removeprefix("./"), label] for image, label in rows]
    test = rows[::TEST_EVERY]
    train = [row for at, row in enumerate(rows) if at % TEST_EVERY]
    parts = (_alternating(rows),) * 3 if whole else (train or test, test, rows[:DEV_ROWS])
    for name, part in zip(TABLES, parts, strict=True):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([columns, *part])


def _alternating(rows: list[list[str]]) -> list[list[str]]:
    """The rows such that every class gives one after the other: a batch of a few then has many classes in it."""
    turns: dict[str, int] = {}
    keyed = []
    for row in rows:
        turns[row[1]] = turns.get(row[1], 0) + 1
        keyed.append((turns[row[1]], row))
    return [row for _, row in sorted(keyed, key=lambda each: each[0])]


def _alias(folder: Path, other: Path) -> None:
    try:
        other.symlink_to(folder.name, target_is_directory=True)
    except OSError:  # Windows without the privilege for links
        shutil.copytree(folder, other)
