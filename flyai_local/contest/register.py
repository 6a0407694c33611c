"""Registering a folder of one's own pictures as a competition: every row is checked before anything is kept."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable
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
from flyai_local.contest.tables import Row, notes_of, write_table
from flyai_local.errors import UserError
from flyai_local.home import competitions_folder
from protocol.columns import IMAGE, LABEL
from protocol.findings import Finding
from protocol.labels import Kind, kind_of, missing, read_as_missing, respelt, similar, value_of
from protocol.language import tr
from protocol.picture_paths import locate, readable
from protocol.task import other_task

SPLIT_SEED = 20240501


def add(
    name: str,
    csv: Path,
    images: Path,
    hidden_csv: Path | None = None,
    hidden: float | None = None,
    image_column: str = IMAGE,
    label_column: str = LABEL,
    metric: str = "accuracy",
    minutes: float | None = None,
    memory_mb: float | None = None,
    disk_mb: float | None = None,
    processes: int | None = None,
    replace: bool = False,
    encoding: str = "",
    say: Callable[[list[Finding]], object] = lambda findings: None,
) -> Competition:
    """Register a competition and return its card; the pictures stay where they are.

    The tables are kept in a cleaned form (UTF-8, paths relative to the folder of pictures), so a later change of the
    CSV file counts only after adding it again with ``replace``. ``hidden`` is the fraction of every class that becomes
    the hidden part, drawn by a fixed seed; ``hidden_csv`` names a table of its own instead. ``minutes`` is the time
    that a submission has for training and its answers together. ``encoding`` is that of the CSV files, where they are
    neither UTF-8 nor Chinese in GBK. The labels get one kind, decided over both tables together. A row without a label
    is left out, as training leaves it out; ``say`` gets that and all else that was noticed.

    Raises:
        UserError: a name, file, column, row, label or picture is not as it must be; names the file and line.
    """
    _check_name(name, replace)
    metrics.find(metric)
    if hidden_csv is not None and hidden is not None:
        raise UserError(tr("--hidden-csv and --hidden exclude each other: name a table or a fraction, not both"))
    if not images.is_dir():
        raise UserError(
            tr("there is no folder {images!r}: --images names the folder that holds the pictures", images=str(images))
        )
    files = [file for file in (csv, hidden_csv) if file is not None]
    read = [notes_of(file, image_column, label_column, encoding) for file in files]
    kind = kind_of(row.label for rows, _ in read for row in rows)
    labelled = [_labelled(file, rows, kind) for file, (rows, _) in zip(files, read, strict=True)]
    placed = [_located(file, rows, images.absolute()) for file, (rows, _) in zip(files, labelled, strict=True)]
    folder, rows = placed[0][:2]
    hidden_folder, hidden_rows = folder, list[Row]()
    if hidden_csv is not None:
        hidden_folder, hidden_rows = placed[1][:2]
        _check_hidden(csv, rows, folder, hidden_csv, hidden_rows, hidden_folder, kind)
    elif hidden is not None:
        rows, hidden_rows = _split(rows, hidden, kind)
    notes = [note for *_, found in [*read, *labelled] for note in found] + [
        note for *_, found in placed for note in found
    ]
    say(notes + _of_labels(csv, [*rows, *hidden_rows], kind))
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
        memory_mb=memory_mb,
        disk_mb=disk_mb,
        processes=processes,
        labels=kind,
    )
    _keep(card, rows, hidden_rows)
    return competition(name)


def _check_name(name: str, replace: bool) -> None:
    if not NAME.fullmatch(name) or RESERVED_NAMES.fullmatch(name):
        raise UserError(
            tr(
                "the name {name!r} cannot be used: 1 to 64 letters (of any script), digits, '_' and '-', "
                "beginning with a letter or digit, and no device name such as 'con'",
                name=name,
            )
        )
    taken = next((known for known in known_ids() if known.lower() == name.lower()), None)
    if taken in EMBEDDED:
        raise UserError(
            tr(
                "the name {name!r} is taken by the embedded competition {taken!r}: choose another name",
                name=name,
                taken=taken,
            )
        )
    if taken and not (replace and taken == name):  # some file systems do not tell upper from lower case
        raise UserError(
            tr(
                "the name {name!r} is taken by the competition {taken!r}: choose another, or use "
                "--replace to add {taken!r} anew",
                name=name,
                taken=taken,
            )
        )


def _labelled(csv: Path, rows: list[Row], kind: Kind) -> tuple[list[Row], list[Finding]]:
    """The rows that have a label, and a finding for each other.

    Raises:
        UserError: there are none.
    """
    empty = [row for row in rows if value_of(row.label, kind) is None]
    if len(empty) == len(rows):
        raise UserError(
            tr(
                "{csv}, line {line}: the label is empty, as in all {rows} rows: label the pictures",
                csv=csv,
                line=rows[0].line,
                rows=len(rows),
            )
        )
    findings = [missing(csv, row.line) for row in empty]
    return [row for row in rows if row not in set(empty)] if empty else rows, findings


def _of_labels(csv: Path, rows: list[Row], kind: Kind) -> list[Finding]:
    """What the labels of all rows look like: classes that may be one, words that pandas drops, another task."""
    values = sorted({value for row in rows if (value := value_of(row.label, kind)) is not None})  # type: ignore[type-var]
    texts = [row.label for row in rows]
    return [*respelt(csv, texts), *similar(csv, values), *read_as_missing(csv, values), *other_task(csv, texts)]


def _located(csv: Path, rows: list[Row], images: Path) -> tuple[Path, list[Row], list[Finding]]:
    """Folder and rows such that folder / row.picture is a file, for every row of the table, and what was noticed.

    The paths are tried in the ways in which training tries them; the way that finds most pictures holds for all.
    """
    found, notes = locate(csv, [row.picture for row in rows], images)
    pictures = [os.path.relpath(path, images).replace(os.sep, "/") for path in found]
    located = [Row(picture, row.label, row.line) for picture, row in zip(pictures, rows, strict=True)]
    for row, written in zip(located, rows, strict=True):
        if row.picture.split("/", 1)[0] == "..":
            raise UserError(
                tr(
                    "{csv}, line {line}: the picture {picture!r} lies outside of {images!r}",
                    csv=csv,
                    line=row.line,
                    picture=written.picture,
                    images=str(images),
                )
            )
        if readable(row.picture) != row.picture:
            shown = readable(row.picture)
            raise UserError(
                tr(
                    "{csv}, line {line}: the file name of {shown!r} is not in UTF-8: rename it",
                    csv=csv,
                    line=row.line,
                    shown=shown,
                )
            )
    gone = [at for at, path in enumerate(found) if not os.path.isfile(path)]  # noqa: PTH113  (no error for a long name)
    if gone:
        raise UserError(
            tr(
                "{csv}, line {line}: the picture is not there; tried {found!r}. {gone} of {rows} "
                "pictures are missing: --images must name the folder that the paths begin from",
                csv=csv,
                line=rows[gone[0]].line,
                found=found[gone[0]],
                gone=len(gone),
                rows=len(rows),
            )
        )
    _check_twice(csv, located)
    if all(row.picture.startswith("image/") for row in located):
        return images / "image", [Row(row.picture.split("/", 1)[1], row.label, row.line) for row in located], notes
    return images, located, notes


def _check_twice(csv: Path, rows: list[Row]) -> None:
    first: dict[str, int] = {}
    for row in rows:
        if row.picture in first:
            raise UserError(
                tr(
                    "{csv}, line {line}: the picture {picture!r} is in line {first} already: keep one row per picture",
                    csv=csv,
                    line=row.line,
                    picture=row.picture,
                    first=first[row.picture],
                )
            )
        first[row.picture] = row.line


def _check_hidden(
    csv: Path, rows: list[Row], folder: Path, hidden_csv: Path, hidden_rows: list[Row], hidden_folder: Path, kind: Kind
) -> None:
    """Refuse a hidden table that shares a picture with the training table, or has a class that training never shows."""
    train_pictures = {folder / row.picture: row.line for row in rows}
    train_labels = {value_of(row.label, kind) for row in rows}
    for row in hidden_rows:
        where = tr("{hidden_csv}, line {line}", hidden_csv=hidden_csv, line=row.line)
        if hidden_folder / row.picture in train_pictures:
            line = train_pictures[hidden_folder / row.picture]
            raise UserError(
                tr(
                    "{where}: {picture!r} is also a training picture ({csv}, line {line}): keep one",
                    where=where,
                    picture=row.picture,
                    csv=csv,
                    line=line,
                )
            )
        if value_of(row.label, kind) not in train_labels:
            raise UserError(
                tr(
                    "{where}: the label {label!r} is in no row of {csv}, so nothing could learn it",
                    where=where,
                    label=row.label,
                    csv=csv,
                )
            )


def _split(rows: list[Row], fraction: float, kind: Kind) -> tuple[list[Row], list[Row]]:
    """Training and hidden rows in table order; every class gives the fraction, rounded, and keeps at least one row."""
    if not 0 < fraction < 1:
        raise UserError(
            tr("--hidden {fraction:g} is not a fraction between 0 and 1: use for instance 0.25", fraction=fraction)
        )
    members = defaultdict(list)
    for at, row in enumerate(rows):
        members[value_of(row.label, kind)].append(at)
    hidden: set[int] = set()
    for label, places in members.items():
        count = min(round(fraction * len(places)), len(places) - 1)
        hidden.update(random.Random(f"{SPLIT_SEED} {label}").sample(places, count))
    if not hidden:
        raise UserError(
            tr(
                "--hidden {fraction:g} of {rows} rows leaves no hidden picture: use a larger fraction",
                fraction=fraction,
                rows=len(rows),
            )
        )
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
