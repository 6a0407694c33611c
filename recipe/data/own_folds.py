"""Folds as the user has cut them: a column of train.csv, or a CSV of its own with a row per picture.

image_path,fold
image/0001.jpg,0
image/0002.jpg,1
image/0003.jpg,-1        -1 or empty: trained on in every fold and validated in none
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from protocol.csv_file import read_rows
from protocol.language import tr
from recipe.data.findings import DataError
from recipe.data.folds import Fold
from recipe.data.table import Table

NEVER = {"", "-1", "-1.0"}


def own_folds(table: Table, file: Path, image_column: str, fold_column: str, encoding: str = "") -> tuple[Fold, ...]:
    """A fold per value of the column, in the order of the numbers, or of the letters where they are not numbers.

    Args:
        table: the rows of the run; pictures that the file names and the run left out are passed over.
        file: names the pictures as the table does.

    Raises:
        DataError: a picture without a row, fewer than one fold, or a fold that leaves nothing to train on, or
            one class alone.
    """
    rows, _ = read_rows(file, [image_column, fold_column], encoding)
    names, values = rows.columns[image_column], [value.strip() for value in rows.columns[fold_column]]
    value_of = dict(zip(map(_plain, names), values, strict=True))
    missing = [name for name in table.names if _plain(name) not in value_of]
    if missing:
        raise DataError(
            tr(
                "{file} says nothing of {missing} of the {rows} pictures, the first is {example!r}; "
                "give each a value in the column {fold_column!r} (-1 for one that is never validated).",
                file=file,
                missing=len(missing),
                rows=len(table),
                example=missing[0],
                fold_column=fold_column,
            )
        )
    given = np.array([value_of[_plain(name)] for name in table.names])
    folds = [Fold(index, np.flatnonzero(given != value), np.flatnonzero(given == value))
             for index, value in enumerate(sorted(set(given.tolist()) - NEVER, key=_order))]  # fmt: skip
    if not folds or any(not len(fold.train_rows) for fold in folds):
        raise DataError(
            tr(
                "{file}: the column {fold_column!r} holds {folds} folds; give at least two values, or "
                "one value and -1 for the pictures that are trained on.",
                file=file,
                fold_column=fold_column,
                folds=len(folds),
            )
        )
    for fold in folds:
        if len(trained := np.unique(table.labels[fold.train_rows])) == 1:
            raise DataError(
                tr(
                    "{file}: fold {index} of the column {fold_column!r} would train on the class {classes!r} "
                    "alone; cut the folds so that each leaves pictures of two classes.",
                    file=file,
                    index=fold.index,
                    fold_column=fold_column,
                    classes=table.classes[trained[0]],
                )
            )
    return tuple(folds)


def _plain(name: str) -> str:
    return os.path.normpath(name.strip().replace("\\", "/"))


def _order(value: str) -> tuple[float, str]:
    try:
        return float(value), ""
    except ValueError:
        return float("inf"), value
