"""Folds for cross-validation: every class in the same proportion in each, groups never divided."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from protocol.language import tr
from recipe.data.findings import DataError
from recipe.data.table import Table

HOLD_OUT_PARTS = 5  # folds=1 holds out one part of five


@dataclass(frozen=True, eq=False)
class Fold:
    """Row numbers of one fold, ascending."""

    index: int
    train_rows: np.ndarray  # int64
    valid_rows: np.ndarray  # int64


def make_folds(table: Table, folds: int, seed: int, groups: np.ndarray | None = None) -> tuple[Fold, ...]:
    """`folds` folds that validate every row exactly once; a function of labels, groups and seed alone.

    Args:
        table: gives the labels, and the groups if it has any.
        folds: 2 or more; 1 gives a single fold that holds out 20 %.
        seed: shuffles the rows of each class.
        groups: (N,) rows with equal values stay on one side; by default those of the table.

    A class with fewer rows than folds is validated in as many folds as it has rows.

    Raises:
        DataError: more folds than the largest class has rows, or than there are groups; a fold that
            could learn nothing.
    """
    groups = table.groups if groups is None else np.unique(groups, return_inverse=True)[1]
    if folds < 1:
        raise DataError(tr("{folds} folds are refused; 2 or more cross-validate, 1 holds out a fifth.", folds=folds))
    parts = folds if folds > 1 else min(HOLD_OUT_PARTS, most_parts(table, groups))
    if parts > most_parts(table, groups) or parts < 2:
        raise DataError(
            tr(
                "{folds} folds are more than the data allow: the largest class has {counts} rows",
                folds=folds,
                counts=table.counts.max(),
            )
            + ("" if groups is None else tr(" and there are {unique} groups", unique=len(np.unique(groups))))
            + tr(". Choose fewer folds or add pictures.")
        )
    splits = _split(table.labels, parts, seed, groups)
    made = tuple(Fold(index, train, valid) for index, (train, valid) in enumerate(splits[:folds]))
    empty = [fold.index for fold in made if not len(fold.valid_rows) or not len(fold.train_rows)]
    if empty:
        raise DataError(
            tr(
                "Fold {empty} would be empty: the groups are too large for {folds} folds. Choose fewer "
                "folds or smaller groups.",
                empty=empty[0],
                folds=folds,
            )
        )
    for fold in made:
        _refuse_unlearnable(table, fold)
    return made


def _refuse_unlearnable(table: Table, fold: Fold) -> None:
    """Refuse a fold that trains on one class alone, or on none of the classes that it is validated on."""
    train, valid = (np.unique(table.labels[rows]) for rows in (fold.train_rows, fold.valid_rows))
    if len(train) > 1 and np.intersect1d(train, valid).size:
        return
    what = tr("would train on the class {classes!r} alone", classes=table.classes[train[0]])
    if len(train) > 1:
        what = tr(
            "would be validated on the class {classes!r}, of which it has trained on no picture",
            classes=table.classes[valid[0]],
        )
    why = (
        tr("the groups hold whole classes")
        if table.groups is not None
        else tr("the other classes have too few pictures")
    )
    raise DataError(
        tr(
            "Fold {index} {what}: {why}. Add pictures, divide the groups, or choose other folds.",
            index=fold.index,
            what=what,
            why=why,
        )
    )


def most_parts(table: Table, groups: np.ndarray | None) -> int:
    """Into how many parts the rows can be divided: the rows of the largest class, or the groups if those are fewer."""
    largest = int(table.counts.max(initial=0))
    return largest if groups is None else min(largest, len(np.unique(groups)))


def _split(labels: np.ndarray, parts: int, seed: int, groups: np.ndarray | None) -> list[tuple[np.ndarray, np.ndarray]]:
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    with (
        warnings.catch_warnings()
    ):  # "the least populated class has only n members": the data check has said so, with the class
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return list(splitter(parts, shuffle=True, random_state=seed).split(labels, labels, groups))
