"""The data of a contest as two archives: what workers fetch, and what participants may download.

Hidden pictures get new random names, so that neither a name nor an order tells a label, and so that nobody can work out
which rows are public (the split is a hash of the name, see flyai_local/run/score.py). In a contest of answers the
pictures are handed out under yet other names; which is which only the workers' archive says.

    workers:       card.json, train.csv, train/..., hidden.csv, hidden/...
    participants:  train.csv, image/... and, for answers, test/... with sample_submission.csv
"""

from __future__ import annotations

import csv
import io
import json
import random
import secrets
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from flyai_local.contest.competitions import Competition
from flyai_local.contest.tables import read_table
from flyai_local.errors import UserError
from flyai_local.run.score import is_public
from flyai_site.models import ANSWERS
from flyai_site.storage import folder, keep_file

__all__ = ["Bundles", "make"]

STAMP = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Bundles:
    """The hashes of both archives, and how many rows each part has."""

    data: str
    public: str
    train_rows: int
    hidden_rows: int


@dataclass(frozen=True)
class Hidden:
    """A hidden picture: where it lies, its name for the workers, the number that participants see, its label."""

    source: Path
    name: str
    number: int
    label: str


def make(slug: str, card: Competition, kind: str) -> Bundles:
    """Write both archives into storage.

    Raises:
        UserError: no hidden part, a part without a public or a private row, or a picture that is gone.
    """
    if card.hidden is None:
        raise UserError(_("Nothing is hidden, so nothing could be scored: give a fraction such as 0.25."))
    train = [(card.images / row.picture, row.picture, row.label) for row in read_table(card.train, *card.columns)]
    hidden = _hidden(slug, card)
    for source in [*(row[0] for row in train), *(one.source for one in hidden)]:
        if not source.is_file():
            text = _("The picture %(name)s is gone: put it back, or add the competition anew.")
            raise UserError(text % {"name": repr(str(source))})
    data, public = folder("incoming") / secrets.token_hex(8), folder("incoming") / secrets.token_hex(8)
    try:
        _write_data(data, slug, card, kind, train, hidden)
        _write_public(public, card, kind, train, hidden)
        return Bundles(keep_file(data), keep_file(public), len(train), len(hidden))
    finally:
        data.unlink(missing_ok=True)
        public.unlink(missing_ok=True)


def _hidden(slug: str, card: Competition) -> list[Hidden]:
    """Hidden rows under names drawn anew until both parts have rows of them, in an order that tells nothing."""
    rows = read_table(card.hidden, *card.columns) if card.hidden else []
    if len(rows) < 2:
        text = _("%(count)d hidden rows cannot make a public and a private part: give a larger fraction.")
        raise UserError(text % {"count": len(rows)})
    random.SystemRandom().shuffle(rows)
    numbers = random.SystemRandom().sample(range(len(rows)), len(rows))
    while True:
        found = [
            Hidden(card.hidden_images / row.picture, secrets.token_hex(8) + Path(row.picture).suffix, at, row.label)
            for at, row in zip(numbers, rows, strict=True)
        ]
        if len({is_public(slug, one.name) for one in found}) == 2:
            return found


def _write_data(
    target: Path, slug: str, card: Competition, kind: str, train: list[tuple[Path, str, str]], hidden: list[Hidden]
) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        about = {"id": slug, "image_column": card.image_column, "label_column": card.label_column,
                 "metric": card.metric, "kind": kind}  # fmt: skip
        _text(archive, "card.json", json.dumps(about))
        _table(archive, "train.csv", card.columns, (row[1:] for row in train))
        _table(archive, "hidden.csv", card.columns, ((one.name, one.label) for one in hidden))
        _table(archive, "numbers.csv", ("id", "picture"), ((_published(one), one.name) for one in hidden))
        for source, picture, _label in train:
            _picture(archive, source, f"train/{picture}")
        for one in hidden:
            _picture(archive, one.source, f"hidden/{one.name}")


def _write_public(
    target: Path, card: Competition, kind: str, train: list[tuple[Path, str, str]], hidden: list[Hidden]
) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        _table(archive, "train.csv", card.columns, ((f"./image/{row[1]}", row[2]) for row in train))
        for source, picture, _label in train:
            _picture(archive, source, f"image/{picture}")
        if kind == ANSWERS:
            ordered = sorted(hidden, key=lambda one: one.number)
            some = train[0][2]
            _table(
                archive, "sample_submission.csv", ("id", card.label_column), ((_published(o), some) for o in ordered)
            )
            for one in ordered:
                _picture(archive, one.source, f"test/{_published(one)}")


def _published(one: Hidden) -> str:
    return f"{one.number:06d}{one.source.suffix}"


def _text(archive: zipfile.ZipFile, name: str, text: str) -> None:
    archive.writestr(zipfile.ZipInfo(name, STAMP), text.encode())


def _table(archive: zipfile.ZipFile, name: str, columns: Iterable[str], rows: Iterable[tuple[str, str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([tuple(columns), *rows])
    _text(archive, name, text.getvalue())


def _picture(archive: zipfile.ZipFile, source: Path, name: str) -> None:
    """A picture as it is, with a time that tells nothing."""
    with source.open("rb") as file, archive.open(zipfile.ZipInfo(name, STAMP), "w") as sink:
        while piece := file.read(2**20):
            sink.write(piece)
