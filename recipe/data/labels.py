"""Labels as the source means them: a column of numbers gives numbers, anything else stays text.

The platform compares an answer by `==` with the value that pandas reads from the hidden table, so the same rules as
pandas.read_csv
hold: "0" and "00" are the int 0, "1.0" equals the int 1, "True" is a bool, and a column with one word in it is text
    throughout.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipe.data.findings import Finding
from recipe.registry import nearest

Value = int | float | str

_INT = re.compile(r"\s*[+-]?[0-9]+\s*")
_FLOAT = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
_MISSING = {
    "",
    "na",
    "n/a",
    "<na>",
    "#n/a",
    "nan",
    "null",
    "none",
}  # among numbers; in a column of words "none" may be a class
_BOOLS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


@dataclass(frozen=True)
class Labelled:
    """A label column, typed and numbered."""

    numbers: np.ndarray  # (N,) int64; -1: the row has no usable label
    values: tuple[Value, ...]  # (K,)
    texts: Sequence[str]  # (N,) as written
    findings: list[Finding]


def type_labels(
    file: Path, lines: Sequence[int], texts: Sequence[str], values: Sequence[Value] | None = None
) -> Labelled:
    """Typed labels of a column; `values` are those already known (of a trained run), by default the sorted distinct
    ones.

    Rows with an empty or an unknown label get the number -1 and a finding.
    """
    distinct, findings = list(dict.fromkeys(texts)), []  # a table of a million rows has few
    typed = dict(zip(distinct, _typed(distinct), strict=True))
    known = list(values) if values is not None else sorted({value for value in typed.values() if value is not None})
    number_of = {value: number for number, value in enumerate(known)}
    if values is not None and not any(value in number_of for value in typed.values()):
        typed = dict(zip(distinct, _by_text(distinct, known), strict=True))
    number_of_text = {text: -1 if value is None else number_of.get(value, -1) for text, value in typed.items()}
    numbers = np.fromiter(map(number_of_text.__getitem__, texts), np.int64, len(texts))
    for row in np.flatnonzero(numbers < 0).tolist():
        if typed[texts[row]] is None:
            what, remedy, kind = "the label is empty", "label the picture or remove the line", "empty-label"
        else:
            close = nearest(str(typed[texts[row]]), map(str, known))
            what, kind = (
                f"the label {texts[row]!r} is none of the {len(known)} known classes.{close}".rstrip("."),
                "unknown-label",
            )
            remedy = "correct it, or train with it"
        findings.append(Finding(file, lines[row], kind, what, remedy, drops=True))
    return Labelled(numbers, tuple(known), texts, findings + _lookalikes(file, known))


def _typed(texts: Sequence[str]) -> list[Value | None]:
    """The column by the narrowest type that holds all of it: int, float, bool, text; None for an empty field."""
    filled = {text for text in texts if text.strip().lower() not in _MISSING}
    for pattern, convert in ((_INT, int), (_FLOAT, _number)):
        if filled and all(pattern.fullmatch(text) for text in filled):
            return [convert(text) if text in filled else None for text in texts]
    if filled and filled <= _BOOLS.keys():
        return [_BOOLS.get(text) for text in texts]
    return [text if text.strip() else None for text in texts]


def _number(text: str) -> int | float:
    """An int where the number is whole: 1.0 == 1 holds for the platform's comparison, and 1 is nicer to read."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _by_text(texts: Sequence[str], known: Sequence[Value]) -> list[Value | None]:
    """Labels matched by how they are written, for a table whose column has another type than the run's ("0" for 0)."""
    by_text = {str(value).strip(): value for value in known}
    return [by_text.get(text.strip(), text) if text.strip() else None for text in texts]


def _lookalikes(file: Path, values: Sequence[Value]) -> list[Finding]:
    """Classes that differ only in case or in surrounding spaces: usually one class, misspelt."""
    seen: dict[str, Value] = {}
    findings = []
    for value in values:
        first = seen.setdefault(str(value).strip().casefold(), value)
        if first is not value:
            what = f"the labels {first!r} and {value!r} differ only in case or spaces and count as two classes"
            findings.append(Finding(file, 0, "similar-labels", what, "write them alike if they are one"))
    return findings
