"""Sorting, filtering and comparing rows of the experiment record."""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

from recipe.record import FACTS, RecordError, Row, value
from recipe.registry import nearest

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "!=": operator.ne, "=": operator.eq,
}  # fmt: skip
CONDITION = re.compile(r"\s*([A-Za-z_][\w]*)\s*(>=|<=|!=|=|>|<)\s*(.*?)\s*")
LOSSES = {"log_loss", "calibration_error"}  # metrics of which less is better


def check_name(rows: Sequence[Row], name: str) -> str:
    """The name of a fact or a setting.

    Raises:
        RecordError: no row has it; names the nearest.
    """
    known = [*FACTS, *dict.fromkeys(key for row in rows for key in row["settings"])]
    if name not in known:
        raise RecordError(f"the record has no column {name!r}.{nearest(name, known)} Known: {', '.join(known)}.")
    return name


def filtered(rows: Sequence[Row], conditions: Sequence[str]) -> list[Row]:
    """The rows that meet all conditions: `score>=0.9`, `backbone=tf_*`, `seed!=0`.

    Raises:
        RecordError: a condition that cannot be read, or names an unknown column.
    """
    kept = list(rows)
    for condition in conditions:
        match = CONDITION.fullmatch(condition)
        if match is None:
            raise RecordError(f"the condition {condition!r} cannot be read; write NAME, one of {' '.join(COMPARE)}, and a value: score>=0.9")
        name, sign, wanted = match.groups()
        check_name(rows, name)
        kept = [row for row in kept if _holds(value(row, name), sign, wanted)]
    return kept


def _holds(found: Any, sign: str, wanted: str) -> bool:
    if isinstance(found, int | float) and not isinstance(found, bool) and _is_number(wanted):
        return COMPARE[sign](float(found), float(wanted))
    if sign in ("=", "!="):
        return fnmatch.fnmatchcase(str(found).lower(), wanted.lower()) == (sign == "=")
    return found is not None and COMPARE[sign](str(found), wanted)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def ordered(rows: Sequence[Row], name: str, reverse: bool = False) -> list[Row]:
    """Rows by a column, best or largest first for numbers, A to Z for text; rows without a value last.

    Raises:
        RecordError: no row has the column.
    """
    check_name(rows, name)
    filled = [row for row in rows if value(row, name) is not None]
    numeric = all(isinstance(value(row, name), int | float) for row in filled)
    falling = numeric and not (name in ("score", "mean") and all(row["metric"] in LOSSES for row in filled))
    made = sorted(filled, key=lambda row: value(row, name) if numeric else str(value(row, name)), reverse=falling != reverse)
    return made + [row for row in rows if value(row, name) is None]


def chosen(rows: Sequence[Row], text: str) -> Row:
    """The one row that a number (-1 is the newest) or the beginning of a run's name means.

    Raises:
        RecordError: none or several are meant.
    """
    if re.fullmatch(r"-?\d{1,5}", text) and -len(rows) <= int(text) < len(rows):
        return rows[int(text)]
    found = [row for row in rows if row["run"].startswith(text)]
    if len({row["run"] for row in found}) != 1:
        how = "no run begins" if not found else f"{len(found)} runs begin"
        raise RecordError(f"{how} with {text!r}; give the name as `python -m recipe runs` shows it, or a number such as -1 for the newest.")
    return found[-1]


def difference(first: Row, second: Row) -> list[tuple[str, Any, Any]]:
    """Facts and settings in which two rows differ."""
    names = [*FACTS, *dict.fromkeys([*first["settings"], *second["settings"]])]
    return [(name, value(first, name), value(second, name)) for name in names if value(first, name) != value(second, name)]
