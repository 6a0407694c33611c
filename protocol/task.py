"""Whether a label column asks for another task than one class per picture: several labels, a quantity, a reading.

These are guesses from the labels alone, so they are said and nothing is refused for them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from protocol.findings import Finding
from protocol.labels import kind_of
from protocol.language import tr

__all__ = ["other_task"]

_MANY = 20  # different values from which a column of numbers may measure something
_DIVIDERS = ("|", ";", ",", "+", "&", "/", " ")
_BRACKETS = re.compile(r"[\[\](){}'\"]")


def other_task(file: Path, texts: Sequence[str]) -> list[Finding]:
    """What the labels of a table look like, if not like classes: one finding, or none."""
    counts = Counter(text.strip() for text in texts if text.strip())
    what = _several(counts.keys()) or _quantity(counts) or _reading(counts)
    if not what:
        return []
    remedy = tr("this trains one class per picture; if the labels are classes all the same, go on")
    return [Finding(file, 0, "other-task", what, remedy)]


def _several(cells: Collection[str]) -> str:
    """Multi-label: the same words in several combinations."""
    for divider in _DIVIDERS:
        split = {cell: parts for cell in cells if len(parts := _parts(cell, divider)) > 1}
        if split and _recombine([_parts(cell, divider) for cell in cells], list(split.values()), divider):
            cell = next(iter(split))
            named = "spaces" if divider == " " else f"{divider!r}"
            return tr(
                "labels such as {cell!r} are {split} labels divided by {named}: a picture with several "
                "labels at once (multi-label) is another task",
                cell=cell[:60],
                split=len(next(iter(split.values()))),
                named=named,
            )
    return ""


def _parts(cell: str, divider: str) -> list[str]:
    return [part for part in (_BRACKETS.sub("", part).strip() for part in cell.split(divider)) if part]


def _recombine(cells: list[list[str]], several: list[list[str]], divider: str) -> bool:
    """Whether combinations are made of few words: of single labels, in two orders, or fewer words than labels."""
    words = {word for parts in cells for word in parts}
    alone = {parts[0] for parts in cells if len(parts) == 1}
    if all(alone.issuperset(parts) for parts in several) or len({frozenset(parts) for parts in several}) < len(several):
        return True
    uses = Counter(word for parts in cells for word in set(parts))
    if divider == " ":  # names of several words share some: "black cat", "black dog"
        return len(words) < len(cells) and len({len(parts) for parts in cells}) > 1
    return len(several) > 1 and all(uses[word] > 1 for parts in several for word in parts)


def _quantity(counts: Counter[str]) -> str:
    """Regression: numbers that are not whole, or nearly all different."""
    kind, rows = kind_of(counts), counts.total()
    different = len(counts)
    continuous = kind == "float" and different > max(_MANY / 2, rows / 10)
    if not continuous and not (kind in ("int", "float") and different > max(_MANY, rows / 2)):
        return ""
    return tr(
        "the labels are {different} different numbers in {rows} rows, such as {counts}: to "
        "predict a quantity (regression) is another task; cut it into classes first",
        different=different,
        rows=rows,
        counts=next(iter(counts))[:20],
    )


def _reading(counts: Counter[str]) -> str:
    """Texts of their own: every picture, or nearly every one, has a label that no other has."""
    rows, different = counts.total(), len(counts)
    if rows < 2 or not (different == rows or different > max(_MANY, rows / 2)):
        return ""
    return tr(
        "{different} different labels stand in {rows} rows, such as {counts!r}: nothing can be "
        "learned from one picture of a class, and to read a text or a number from each (captcha, "
        "OCR) is another task",
        different=different,
        rows=rows,
        counts=next(iter(counts))[:40],
    )
