"""Competitions by id: the embedded ones, and those that the user made of pictures of their own."""

from __future__ import annotations

import difflib
import importlib
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from flyai_local.contest.putting import put_all, refuse_gone, ways
from flyai_local.contest.tables import Label, Row, read_table, write_table
from flyai_local.errors import UserError
from flyai_local.home import cache_folder, competitions_folder
from protocol import card as public_card
from protocol.columns import IMAGE, LABEL
from protocol.labels import KINDS, Kind, kind_of, value_of
from protocol.language import tr

EMBEDDED = {"MushroomSketch": "flyai_local.contest.sketch", "Digits": "flyai_local.contest.digits"}
NAME = re.compile(r"[^\W_][\w-]{0,63}")  # letters of any script: a name may be Chinese
RESERVED_NAMES = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]", re.IGNORECASE)  # device names of Windows
CARD = "card.json"


@dataclass(frozen=True)
class Competition:
    """Card of one competition. The tables name pictures relative to their folder, with forward slashes.

    ``hidden`` is None when the competition has no hidden part: a submission then trains but gets no score.
    """

    id: str
    image_column: str
    label_column: str
    metric: str
    train: Path
    images: Path
    hidden: Path | None
    hidden_images: Path
    embedded: bool
    minutes: float | None = (
        None  # that a submission has, training and answers together; None: the local policy of limits.py
    )
    labels: Kind | None = None  # of the label column, decided over both tables; None: an older card, decided when read
    memory_mb: float | None = None  # of all processes of a submission together; None: the local policy
    disk_mb: float | None = None  # that a phase may write
    processes: int | None = None  # at once

    @property
    def columns(self) -> tuple[str, str]:
        """Header of the table that a submission finds."""
        return (self.image_column, self.label_column)

    @property
    def input_columns(self) -> tuple[str, ...]:
        """Keywords of one ``predict`` call."""
        return (self.image_column,)


def competition(name: str) -> Competition:
    """The competition of that id, its pictures in place (an embedded one is made on first use).

    Raises:
        UserError: no competition has this id; the message lists those that exist.
    """
    if name in EMBEDDED:
        return _made(name)
    if NAME.fullmatch(name) and (competitions_folder() / name / CARD).is_file():
        return _read_card(competitions_folder() / name)
    known = known_ids()
    close = difflib.get_close_matches(name, known, n=1)
    hint = tr(" Did you mean {close!r}?", close=close[0]) if close else ""
    raise UserError(
        tr(
            "there is no competition {name!r}.{hint} Known here: {known}. Register your own pictures "
            "with: python -m flyai_local add NAME --csv train.csv --images DIR",
            name=name,
            hint=hint,
            known=", ".join(known),
        )
    )


def few(name: str, choose: Callable[[list[Row]], list[Row]]) -> Competition:
    """The competition of that id, for one who needs no more training pictures than those that `choose` keeps.

    Pictures that would have to be drawn first are drawn for these rows alone; such a competition has no hidden part. In
    every other case it is the whole one.

    Raises:
        UserError: no competition has this id; the message lists those that exist.
    """
    card = _embedded_card(name) if name in EMBEDDED else None
    draw = getattr(importlib.import_module(EMBEDDED[name]), "write_training", None) if card else None
    if card is None or draw is None or card.train.parent.is_dir():
        return competition(name)
    folder = _written(card.train.parent.with_name(f"{card.train.parent.name}-few"), lambda to: draw(to, choose))
    return replace(card, train=folder / "train.csv", images=folder / "train", hidden=None)


def competitions() -> list[Competition]:
    """Every known competition: the embedded ones first, then the user's own by name. Makes no pictures."""
    own = [_read_card(competitions_folder() / name) for name in known_ids() if name not in EMBEDDED]
    return [_embedded_card(name) for name in EMBEDDED] + own


def known_ids() -> list[str]:
    """Ids of all competitions: the embedded ones first, then the user's own by name."""
    folders = (card.parent.name for card in competitions_folder().glob(f"*/{CARD}"))
    return [*EMBEDDED, *sorted(name for name in folders if NAME.fullmatch(name))]


def place(chosen: Competition, folder: Path, part: str = "train", limit: int | None = None, copy: bool = False) -> int:
    """Write ``train.csv`` and its pictures below ``folder`` as the platform lays them out; returns the number of rows.

    The table has the competition's own column names, ``\\n`` line ends and ``./image/NAME`` paths. Pictures become
    links, or real files with ``copy`` (needed where the originals are out of reach). ``limit`` keeps that many rows,
    taken from the classes in turn. The table is written last, so a folder that holds it is complete. Other files in
    the folder are left alone; where something fails, nothing new stays.

    Raises:
        UserError: pictures of the table are gone; none is placed.
        ValueError: ``part`` is not ``train``. Hidden pictures are never placed: their labels are for the scorer alone.
    """
    if part != "train":
        raise ValueError(f"part {part!r} cannot be placed: only 'train' leaves the platform")
    rows = [(row.picture, row.label) for row in read_table(chosen.train, *chosen.columns)]
    if limit is not None:
        rows = _of_kind(_in_turn(rows, limit), rows, label_kind(chosen))
    sources = [chosen.images / picture for picture, _ in rows]
    refuse_gone([source for source in sources if not source.is_file()])
    put_all(sources, [folder / "image" / picture for picture, _ in rows], ways(chosen.embedded, copy))
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".train.csv.{os.getpid()}"
    write_table(unfinished, chosen.columns, ((f"./image/{picture}", label) for picture, label in rows))
    public_card.write(folder, chosen.columns, chosen.metric)
    unfinished.replace(folder / "train.csv")
    return len(rows)


def hidden_rows(chosen: Competition) -> list[tuple[Path, Label]]:
    """Pictures and labels of the hidden part, for the scorer only; empty when there is none.

    Labels have the kind of the whole column, training and hidden rows together, as training reads them. A row without
    a label (of an older card) has the label nan, which no answer equals, as on the platform.
    """
    if chosen.hidden is None:
        return []
    rows, kind = read_table(chosen.hidden, *chosen.columns), label_kind(chosen)
    return [(chosen.hidden_images / row.picture, _label(row, kind)) for row in rows]


def training_classes(chosen: Competition) -> list[Label]:
    """The different labels of the training table, of the kind of the whole column."""
    kind = label_kind(chosen)
    labels = (value_of(row.label, kind) for row in read_table(chosen.train, *chosen.columns))
    return [label for label in dict.fromkeys(labels) if label is not None]


def label_kind(chosen: Competition) -> Kind:
    """What the labels are: as the card says, or for an older card as both its tables say together."""
    if chosen.labels is not None:
        return chosen.labels
    tables = [table for table in (chosen.train, chosen.hidden) if table]
    return kind_of(row.label for table in tables for row in read_table(table, *chosen.columns))


def _label(row: Row, kind: Kind) -> Label:
    label = value_of(row.label, kind)
    return math.nan if label is None else label


def write_card(chosen: Competition, folder: Path) -> None:
    """Keep a competition's card as a small JSON file beside its tables."""
    import json

    fields = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(chosen).items()}
    fields["train"], fields["hidden"] = chosen.train.name, chosen.hidden.name if chosen.hidden else None
    (folder / CARD).write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_card(folder: Path) -> Competition:
    import json

    try:
        fields = json.loads((folder / CARD).read_text(encoding="utf-8"))
        fields["train"], fields["hidden"] = folder / fields["train"], fields["hidden"] and folder / fields["hidden"]
        if fields.get("labels") not in (None, *KINDS):
            raise ValueError(f"labels is {fields['labels']!r}, and is one of {', '.join(KINDS)}")
        fields["images"], fields["hidden_images"] = Path(fields["images"]), Path(fields["hidden_images"])
        return Competition(**fields)
    except (ValueError, KeyError, TypeError) as error:
        remedy = tr("remove that folder and add the competition again")
        raise UserError(
            tr("{folder} cannot be read ({error}): {remedy}", folder=folder / CARD, error=error, remedy=remedy)
        ) from error


def _embedded_card(name: str) -> Competition:
    version = importlib.import_module(EMBEDDED[name]).VERSION
    folder = cache_folder() / f"{name}-v{version}"
    return Competition(
        id=name,
        image_column=IMAGE,
        label_column=LABEL,
        metric="accuracy",
        train=folder / "train.csv",
        images=folder / "train",
        hidden=folder / "hidden.csv",
        hidden_images=folder / "hidden",
        embedded=True,
    )


def _made(name: str) -> Competition:
    """An embedded competition with its pictures."""
    card = _embedded_card(name)
    if not card.train.parent.is_dir():
        print(tr("{name}: making its pictures, once (some seconds) ...", name=name), file=sys.stderr)
        _written(card.train.parent, importlib.import_module(EMBEDDED[name]).write)
    return card


def _written(final: Path, write: Callable[[Path], object]) -> Path:
    """A folder that `write` filled, whole or not at all; two processes that make it at once do not disturb it."""
    if final.is_dir():
        return final
    unfinished = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    try:
        write(unfinished)
        unfinished.rename(final)
    except OSError:
        if not final.is_dir():  # else another process was quicker, and its pictures are the same
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return final


def _in_turn(rows: list[tuple[str, str]], limit: int) -> list[tuple[str, str]]:
    """The first ``limit`` rows when every class gives one row after the other, in the order of the table."""
    seen: dict[str, int] = {}
    turns = []
    for at, (_, label) in enumerate(rows):
        turns.append((seen.get(label, 0), at))
        seen[label] = seen.get(label, 0) + 1
    return [rows[at] for at in sorted(at for _, at in sorted(turns)[:limit])]


def _of_kind(taken: list[tuple[str, str]], rows: list[tuple[str, str]], kind: Kind) -> list[tuple[str, str]]:
    """The rows taken, the last one exchanged where their labels alone would be read as another kind than all are.

    Of the classes 1, 2 and x, the first two alone would be numbers.
    """
    if kind_of(label for _, label in taken) == kind or kind != "text":
        return taken
    kept = [label for _, label in taken[:-1]]
    return next(([*taken[:-1], row] for row in rows if kind_of([*kept, row[1]]) == kind), taken)
