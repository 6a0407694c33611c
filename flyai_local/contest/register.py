"""Registering a folder of one's own pictures as a competition: every row is checked before anything is kept."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

from flyai_local.contest import metrics
from flyai_local.contest.competitions import (
    EMBEDDED,
    NAME,
    RESERVED_NAMES,
    Competition,
    competition,
    known_ids,
    write_card,
)
from flyai_local.contest.tables import Row, read_table, write_table
from flyai_local.errors import UserError
from flyai_local.home import competitions_folder

SPLIT_SEED = 20240501


def add(
    name: str,
    csv: Path,
    images: Path,
    hidden_csv: Path | None = None,
    hidden: float | None = None,
    image_column: str = "image_path",
    label_column: str = "label",
    metric: str = "accuracy",
    minutes: float | None = None,
    replace: bool = False,
) -> Competition:
    """Register a competition and return its card; the pictures stay where they are.

    The tables are kept in a cleaned form (UTF-8, paths relative to the folder of pictures), so a later change of the
    CSV file counts only after adding it again with ``replace``. ``hidden`` is the fraction of every class that becomes
    the hidden part, drawn by a fixed seed; ``hidden_csv`` names a table of its own instead. ``minutes`` is the time
    that a submission has for training and its answers together.

    Raises:
        UserError: a name, file, column, row, label or picture is not as it must be; names the file and line.
    """
    _check_name(name, replace)
    metrics.find(metric)
    if hidden_csv is not None and hidden is not None:
        raise UserError("--hidden-csv and --hidden exclude each other: name a table or a fraction, not both")
    if not images.is_dir():
        raise UserError(f"there is no folder {str(images)!r}: --images names the folder that holds the pictures")
    folder, rows = _located(csv, read_table(csv, image_column, label_column), images.absolute())
    hidden_folder, hidden_rows = folder, list[Row]()
    if hidden_csv is not None:
        hidden_folder, hidden_rows = _located(
            hidden_csv, read_table(hidden_csv, image_column, label_column), images.absolute()
        )
        _check_hidden(csv, rows, folder, hidden_csv, hidden_rows, hidden_folder)
    elif hidden is not None:
        rows, hidden_rows = _split(rows, hidden)
    kept = competitions_folder() / name
    card = Competition(
        id=name,
        image_column=image_column,
        label_column=label_column,
        metric=metric,
        train=kept / "train.csv",
        images=folder,
        hidden=kept / "hidden.csv" if hidden_rows else None,
        hidden_images=hidden_folder,
        embedded=False,
        minutes=minutes,
    )
    _keep(card, rows, hidden_rows)
    return competition(name)


def _check_name(name: str, replace: bool) -> None:
    if not NAME.fullmatch(name) or RESERVED_NAMES.fullmatch(name):
        raise UserError(
            f"the name {name!r} cannot be used: 1 to 64 letters a-z, digits, '_' and '-', beginning with a letter or "
            "digit, and no device name such as 'con'"
        )
    taken = next((known for known in known_ids() if known.lower() == name.lower()), None)
    if taken in EMBEDDED:
        raise UserError(f"the name {name!r} is taken by the embedded competition {taken!r}: choose another name")
    if taken and not (replace and taken == name):  # some file systems do not tell upper from lower case
        raise UserError(
            f"the name {name!r} is taken by the competition {taken!r}: choose another, or use --replace to add "
            f"{taken!r} anew"
        )


def _located(csv: Path, rows: list[Row], images: Path) -> tuple[Path, list[Row]]:
    """Folder and rows such that folder / row.picture is a file, for every row of the table.

    The paths are tried as they are written and without their first folder (tables say ``image/0001.jpg`` where the
    folder of pictures is ``image`` itself); the way that finds more pictures holds for the whole table.
    """
    written = [_inside(csv, row, images) for row in rows]
    ways = [written]
    if all("/" in row.picture for row in written):
        ways.append([_without_first_folder(row) for row in written])
    missing = [[at for at, row in enumerate(way) if not (images / row.picture).is_file()] for way in ways]
    best = min(range(len(ways)), key=lambda way: len(missing[way]))
    if missing[best]:
        at = missing[best][0]
        tried = " and ".join(repr(str(images / way[at].picture)) for way in ways)
        raise UserError(
            f"{csv}, line {rows[at].line}: the picture is not there; tried {tried}. {len(missing[best])} of "
            f"{len(rows)} pictures are missing: --images must name the folder that the paths begin from"
        )
    _check_twice(csv, ways[best])
    if best == 0 and all(row.picture.startswith("image/") for row in written):
        return images / "image", [_without_first_folder(row) for row in written]
    return images, ways[best]


def _inside(csv: Path, row: Row, images: Path) -> Row:
    """The row with its path relative to the folder of pictures; a path that leaves the folder is refused."""
    relative = os.path.relpath(images / row.picture, images).replace("\\", "/")
    if relative.split("/", 1)[0] == "..":
        raise UserError(f"{csv}, line {row.line}: the picture {row.picture!r} lies outside of {str(images)!r}")
    return Row(relative, row.label, row.line)


def _without_first_folder(row: Row) -> Row:
    return Row(row.picture.split("/", 1)[1], row.label, row.line)


def _check_twice(csv: Path, rows: list[Row]) -> None:
    first: dict[str, int] = {}
    for row in rows:
        if row.picture in first:
            raise UserError(
                f"{csv}, line {row.line}: the picture {row.picture!r} is in line {first[row.picture]} already: "
                "keep one row per picture"
            )
        first[row.picture] = row.line


def _check_hidden(
    csv: Path, rows: list[Row], folder: Path, hidden_csv: Path, hidden_rows: list[Row], hidden_folder: Path
) -> None:
    """Refuse a hidden table that shares a picture with the training table, or has a class that training never shows."""
    train_pictures = {folder / row.picture: row.line for row in rows}
    train_labels = {row.label for row in rows}
    for row in hidden_rows:
        where = f"{hidden_csv}, line {row.line}"
        if hidden_folder / row.picture in train_pictures:
            line = train_pictures[hidden_folder / row.picture]
            raise UserError(f"{where}: {row.picture!r} is also a training picture ({csv}, line {line}): keep one")
        if row.label not in train_labels:
            raise UserError(f"{where}: the label {row.label!r} is in no row of {csv}, so nothing could learn it")


def _split(rows: list[Row], fraction: float) -> tuple[list[Row], list[Row]]:
    """Training and hidden rows in table order; every class gives the fraction, rounded, and keeps at least one row."""
    if not 0 < fraction < 1:
        raise UserError(f"--hidden {fraction:g} is not a fraction between 0 and 1: use for instance 0.25")
    members = defaultdict(list)
    for at, row in enumerate(rows):
        members[row.label].append(at)
    hidden: set[int] = set()
    for label, places in members.items():
        count = min(round(fraction * len(places)), len(places) - 1)
        hidden.update(random.Random(f"{SPLIT_SEED} {label}").sample(places, count))
    if not hidden:
        raise UserError(f"--hidden {fraction:g} of {len(rows)} rows leaves no hidden picture: use a larger fraction")
    return [row for at, row in enumerate(rows) if at not in hidden], [rows[at] for at in sorted(hidden)]


def _keep(card: Competition, rows: list[Row], hidden_rows: list[Row]) -> None:
    """Write card and tables beside their place, then move them there, so that no half of a competition is ever seen."""
    final = card.train.parent
    unfinished = Path(tempfile.mkdtemp(prefix=f".{card.id}-", dir=final.parent))
    former = unfinished.with_name(unfinished.name + "-former")
    write_table(unfinished / "train.csv", card.columns, ((row.picture, row.label) for row in rows))
    if card.hidden:
        write_table(unfinished / "hidden.csv", card.columns, ((row.picture, row.label) for row in hidden_rows))
    write_card(card, unfinished)
    if final.exists():
        final.rename(former)
    unfinished.rename(final)
    shutil.rmtree(former, ignore_errors=True)
