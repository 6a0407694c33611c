"""Labels as the source means them: a column of numbers gives numbers, anything else stays text.

The platform compares an answer by `==` with the value that pandas reads from the hidden table, so pandas' rules hold:
"0" and "00" are the int 0, "1.0" equals the int 1, "True" is a bool, a whole number of more than 64 bits is text, and a
column with one word in it is text throughout. A column has one kind, decided over all of it: the training rows and the
hidden ones together. Training, registering, scoring and the board all read labels by this file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from protocol.findings import Finding
from protocol.language import tr

Value = bool | int | float | str
Kind = Literal["int", "float", "bool", "text"]
KINDS: tuple[Kind, ...] = ("int", "float", "bool", "text")

# Spaces of ASCII only, as pandas: a number behind another space or a separator (U+001D) is a word.
_INT = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_FLOAT = re.compile(r"\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf(inity)?)\s*", re.ASCII | re.IGNORECASE)
_PLAIN = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?|[+-]?inf", re.ASCII | re.IGNORECASE)
_MISSING = {
    "",
    "na",
    "n/a",
    "<na>",
    "#n/a",
    "#n/a n/a",
    "#na",
    "nan",
    "-nan",
    "null",
    "none",
    "1.#ind",
    "-1.#ind",
    "1.#qnan",
    "-1.#qnan",
}  # fmt: skip  (pandas' own; in a column of words, classes)
_BOOLS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
_WIDEST = range(-(2**63), 2**64)  # whole numbers that pandas keeps as numbers


def kind_of(texts: Iterable[str]) -> Kind:
    """The narrowest kind that holds every label of a column; cells without a label count for none."""
    filled = {text for text in texts if text.strip().lower() not in _MISSING}
    if filled and all(map(_INT.fullmatch, filled)):
        return "text" if any(_whole(text) is None for text in filled) else "int"
    if filled and all(map(_FLOAT.fullmatch, filled)):
        return "text" if any(_whole(text) is None for text in filled if _INT.fullmatch(text)) else "float"
    return "bool" if filled and filled <= _BOOLS.keys() else "text"


def kind_of_values(values: Iterable[Value]) -> Kind:
    """The kind of labels that are already values: those that a run or a card keeps."""
    types = {type(value) for value in values}
    if types == {bool}:
        return "bool"
    return "text" if str in types or not types else "int" if types == {int} else "float"


def value_of(text: str, kind: Kind) -> Value | None:
    """The label that a cell of a column of that kind holds; None for an empty cell.

    In a column of numbers or bools, what is neither stays text: it then equals none of the column's labels.
    """
    if kind == "text":
        return text if text.strip() else None
    if text.strip().lower() in _MISSING:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        whole = _whole(text)
        return text if whole is None else whole
    return _number(text) if _FLOAT.fullmatch(text) else text


def values_of(texts: Iterable[str], kind: Kind) -> list[Value | None]:
    """The labels of many cells, each different one read once."""
    known: dict[str, Value | None] = {}
    return [known[text] if text in known else known.setdefault(text, value_of(text, kind)) for text in texts]


def missing(file: Path, line: int) -> Finding:
    """A row without a label."""
    return Finding(
        file, line, "empty-label", tr("the label is empty"), tr("label the picture or remove the line"), drops=True
    )


def _whole(text: str) -> int | None:
    """The whole number that a text writes, in 64 bits; None for a longer one."""
    text = text.strip()
    digits = text.lstrip("+-").lstrip("0") or "0"
    if len(digits) > 20:
        return None
    number = int(digits) * (-1 if text[0] == "-" else 1)
    return number if number in _WIDEST else None


def _number(text: str) -> int | float:
    """An int where the number is whole: 1.0 == 1 holds for the platform's comparison, and 1 is nicer to read."""
    number = float(text)
    return int(number) if number.is_integer() and int(number) in _WIDEST else number


def similar(file: Path, values: Sequence[Value]) -> list[Finding]:
    """Classes that look alike, usually one class written in two ways: see `_looks`."""
    seen: dict[str, Value] = {}
    findings = []
    for value in values:
        first = seen.setdefault(_looks(str(value)), value)
        if first is not value:
            composed = {unicodedata.normalize("NFC", str(each)) for each in (first, value)}
            one, other = (ascii(each) if len(composed) == 1 else repr(each) for each in (first, value))
            what = tr(
                "the labels {one} and {other} differ only in case, spaces, width, form of accents or "
                "invisible characters and count as two classes",
                one=one,
                other=other,
            )
            findings.append(Finding(file, 0, "similar-labels", what, tr("write them alike if they are one")))
    return findings


def respelt(file: Path, texts: Iterable[str]) -> list[Finding]:
    """Labels that are numbers and are written as no number is answered, such as 01 and 1e5: codes, perhaps."""
    distinct = list(dict.fromkeys(text.strip() for text in texts))
    kind = kind_of(distinct)
    odd = {text: value_of(text, kind) for text in distinct if not _PLAIN.fullmatch(text) and text[:1].isalnum()}
    odd = {text: value for text, value in odd.items() if isinstance(value, int | float) and text not in _BOOLS}
    if kind not in ("int", "float") or not odd:
        return []
    text, value = next(iter(odd.items()))
    twin = next((each for each in distinct if each != text and value_of(each, kind) == value), "")
    what = tr("the label {text!r} is the number {value} here, and answered so", text=text, value=value)
    if twin:
        what = tr("the labels {text!r} and {twin!r} are one number here, and one class", text=text, twin=twin)
    return [Finding(file, 0, "number-label", what, tr("if it is a code, put a letter before all of them"))]


def read_as_missing(file: Path, values: Sequence[Value]) -> list[Finding]:
    """Classes whose name pandas reads as an empty cell unless it is told otherwise."""
    words = [value for value in values if isinstance(value, str) and value.lower() in _MISSING]
    what = tr("is a class here, and pandas.read_csv reads it as an empty cell")
    remedy = tr("rename the class, or read the table with keep_default_na=False")
    return [
        Finding(file, 0, "missing-word", tr("the label {word!r} {what}", word=word, what=what), remedy)
        for word in words
    ]


def _looks(text: str) -> str:
    """What the eye sees of a label: one form and width of each character, single spaces, no case, nothing invisible."""
    visible = (each for each in unicodedata.normalize("NFKC", text) if unicodedata.category(each) != "Cf")
    return " ".join("".join(visible).translate(_VARIANTS).split()).casefold()


_VARIANTS = dict.fromkeys(range(0xFE00, 0xFE10))  # choose between drawings of a character
