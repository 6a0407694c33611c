"""The few training pictures that a check works on: enough of each class for whatever a submission does with its rows.

Five rows of a class let five folds, or a fifth held out with every class in it, go through as they do on all data; more
than a dozen classes are not needed to see that a submission works.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flyai_local.contest.competitions import Competition
from flyai_local.contest.tables import Row, read_table, write_table

__all__ = ["CLASSES", "LEAST", "PER_CLASS", "ROWS", "chosen", "sampled"]

PER_CLASS, CLASSES, LEAST = 5, 12, 40
ROWS = 20  # of them are asked about in the evaluation


def chosen(rows: Sequence[Row]) -> list[Row]:
    """At least LEAST rows, where there are so many: PER_CLASS or more of each of the CLASSES largest classes.

    Where those have fewer rows the large ones among them give more, and then further classes give theirs (a table of
    unique labels, at the limit).
    """
    classes: dict[str, list[Row]] = {}
    for row in rows:
        classes.setdefault(row.label, []).append(row)
    largest = sorted(classes.values(), key=len, reverse=True)
    most = len(largest[0]) if largest else 0
    each = PER_CLASS
    while each < most and sum(min(each, len(of_class)) for of_class in largest[:CLASSES]) < LEAST:
        each += 1
    kept: list[Row] = []
    for at, of_class in enumerate(largest):
        if at < CLASSES or len(kept) < LEAST:
            kept += of_class[:each]
    return sorted(kept, key=lambda row: row.line)


def sampled(competition: Competition, folder: Path) -> tuple[Competition, int]:
    """The competition with the chosen rows alone, tables in `folder`, and how many they are.

    The first of them, classes in turn, stand in the place of its hidden part: so no hidden label is touched.
    """
    rows = chosen(read_table(competition.train, *competition.columns))
    seen: dict[str, int] = {}
    turns = []
    for row in rows:
        turns.append((seen.get(row.label, 0), row.line, row))
        seen[row.label] = seen.get(row.label, 0) + 1
    asked = [row for _, _, row in sorted(turns, key=lambda turn: turn[:2])[:ROWS]]
    for name, part in (("train.csv", rows), ("asked.csv", asked)):
        write_table(folder / name, competition.columns, ((row.picture, row.label) for row in part))
    alone = replace(
        competition, train=folder / "train.csv", hidden=folder / "asked.csv", hidden_images=competition.images
    )
    return alone, len(rows)
