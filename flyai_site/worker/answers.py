"""Scores a CSV of predictions: `id` as the data names the pictures, and the label column. No code is run."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from flyai_local.contest.competitions import hidden_rows, training_classes
from flyai_local.run.answers import Answer, Label
from flyai_local.run.diagnose import RunError
from flyai_local.run.score import Score, score
from flyai_local.states import Code
from flyai_site.worker.data import Data

__all__ = ["judge"]

MOST_BYTES = 64 * 2**20


def judge(file: Path, data: Data) -> Score:
    """The score of an uploaded CSV.

    Raises:
        RunError: it is no such table, or does not answer every picture exactly once.
    """
    given = _read(file, data.card.label_column)
    rows = hidden_rows(data.card)
    names = {picture: number for number, picture in data.numbers.items()}
    keys = [path.relative_to(data.card.hidden_images).as_posix() for path, _ in rows]
    wanted = [names[key] for key in keys]
    missing = [name for name in wanted if name not in given]
    unknown = [name for name in given if name not in data.numbers]
    if missing or unknown:
        first = f"{missing[0]!r} is missing" if missing else f"{unknown[0][:80]!r} is no picture"
        raise RunError(Code.WRONG_COUNT, f"{len(given)} answers for {len(rows)} rows; {first}")
    labels = [label for _, label in rows]
    answers = [Answer("label", "str", _value(given[name], labels)) for name in wanted]
    return score(data.card.id, keys, labels, answers, data.card.metric, training_classes(data.card))


def _read(file: Path, column: str) -> dict[str, str]:
    """Answers by picture."""
    if file.stat().st_size > MOST_BYTES:
        raise RunError(Code.ARCHIVE_TOO_LARGE, "a table of answers has at most 64 MB")
    try:
        text = file.read_bytes().decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RunError(Code.WRONG_COUNT, f"the file is no CSV in UTF-8: {error}") from None
    header = [name.strip() for name in rows[0]] if rows else []
    if "id" not in header or column not in header:
        raise RunError(Code.NO_LABEL_KEY, f"the first line must name the columns id and {column}, not {header[:5]}")
    at, label_at = header.index("id"), header.index(column)
    given: dict[str, str] = {}
    for line, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise RunError(Code.WRONG_COUNT, f"line {line} has {len(row)} cells where the first has {len(header)}")
        if row[at].strip() in given:
            raise RunError(Code.WRONG_COUNT, f"line {line}: {row[at].strip()[:80]!r} is answered twice")
        given[row[at].strip()] = row[label_at].strip()
    return given


def _value(text: str, labels: list[Label]) -> Label:
    """The answer in the type of the labels, where it has one; else as text, which equals none."""
    if isinstance(labels[0], str):
        return text
    try:
        return type(labels[0])(text)
    except ValueError:
        return text
