"""Lists in aligned columns, also where names hold wide characters."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence

from flyai_local.terminal import shown
from protocol.language import tr

LONGEST_CELL = 200


def aligned(rows: Sequence[Sequence[object]]) -> str:
    """The rows as lines of left-aligned columns; None becomes ``-`` and fractions keep two decimals."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*texts, strict=True)]
    lines = (
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)) for row in texts
    )
    return "\n".join(line.rstrip() for line in lines)


def moment(seconds: float | None) -> str | None:
    """A moment of local time to the minute."""
    return None if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def duration(seconds: float | None) -> str | None:
    """A duration as people say it: 0.4 s, 42 s, 3 min 05 s, 2 h 07 min."""
    if seconds is None:
        return None
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return (
        tr("{minutes} min {rest:02d} s", minutes=minutes, rest=rest)
        if minutes < 60
        else tr("{hours} h {minutes:02d} min", hours=minutes // 60, minutes=minutes % 60)
    )


def megabytes(size: float | None) -> str | None:
    """A size that is given in MB; None where nothing was measured."""
    return f"{size:.1f} MB" if size else None


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    return f"{cell:.2f}" if isinstance(cell, float) else shown(cell, LONGEST_CELL)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(mark) in "WF" else 1 for mark in text)
