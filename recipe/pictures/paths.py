"""The paths of a table as one column: strings, of which a Path is made when it is asked for.

A Path takes half a kilobyte and three microseconds: a million of them would be most of what a table costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, overload


class PathColumn(Sequence[Path]):
    """An unchangeable sequence of paths; equal to any sequence of the same paths."""

    __slots__ = ("texts",)

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, row: int) -> Path: ...
    @overload
    def __getitem__(self, row: slice) -> PathColumn: ...
    def __getitem__(self, row: int | slice) -> Path | PathColumn:
        return PathColumn(self.texts[row]) if isinstance(row, slice) else Path(self.texts[row])

    def __eq__(self, other: Any) -> bool:
        if isinstance(other, PathColumn):
            return self.texts == other.texts
        return (
            isinstance(other, (tuple, list))
            and len(other) == len(self)
            and all(a == b for a, b in zip(self, other, strict=True))
        )

    def __repr__(self) -> str:
        return f"PathColumn({list(self.texts[:3])}{' ...' if len(self) > 3 else ''}, {len(self)} paths)"

    def take(self, rows: Sequence[int]) -> PathColumn:
        """Some of them, in the order given."""
        return PathColumn(taken(self.texts, rows))


def taken(column: Sequence[Any], rows: Sequence[int]) -> tuple[Any, ...]:
    """The values of a column in some rows."""
    return itemgetter(*rows)(column) if len(rows) > 1 else tuple(column[row] for row in rows)
