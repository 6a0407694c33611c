"""The check before training: every row that cannot be used is named with file and line, counted, and left out."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from protocol.language import later, tr
from protocol.task import other_task
from recipe.data.findings import DataError, Finding, summary
from recipe.data.table import Table
from recipe.pictures.cache import Pictures, Progress
from recipe.system.processes.world import here

NO_TABLE = later(
    "There is no train.csv, so each folder was taken for a class: if the data came by a "
    "download that failed, see its message and fetch it again."
)


def check(
    table: Table, folds: int, strict: bool = False, pictures: Pictures | None = None, progress: Progress | None = None
) -> tuple[Table, list[Finding]]:
    """The table without the rows that cannot be used, and all findings, those of reading the table included.

    Args:
        table: as read.
        folds: a class with fewer rows than this is named.
        strict: refuse instead of leaving rows out.
        pictures: of `table.paths`; every picture is decoded once, and kept there as far as its memory goes. Without it
            they are decoded for the check alone.
        progress: called with (pictures decoded, pictures in all).

    Raises:
        DataError: with `strict`, any row that would be left out or a class with too few rows; else if more than half of
            the pictures are missing (the image folder is wrong), if fewer than two classes are left, or
            if every class has one picture.
    """
    _refuse_wrong_folder(table)
    pictures = Pictures(table.paths, short_side=64, cache_mb=0) if pictures is None else pictures
    failures = _failures(pictures, progress)
    findings = [*table.findings, *(_finding(table, row, failure) for row, failure in failures.items())]
    usable = table.take([row for row in range(len(table)) if row not in failures])
    findings += _class_findings(usable, folds)
    other = other_task(usable.source, usable.label_texts)
    findings += other
    if strict and (fatal := [finding for finding in findings if finding.drops or finding.kind == "small-class"]):
        raise DataError(
            tr(
                "{source} has {fatal} faults, and strict mode accepts none:\n{summary}",
                source=table.source,
                fatal=len(fatal),
                summary=summary(fatal, examples=10),
            )
        )
    if np.count_nonzero(usable.counts) < 2:
        classes = [name for name, count in zip(usable.classes, usable.counts, strict=True) if count]
        raise DataError(
            tr(
                "{source} has {count} class with readable pictures ({names}), and at least 2 are "
                "needed. {hint}\n{summary}",
                source=table.source,
                count=len(classes),
                names=", ".join(classes) or tr("none"),
                hint=tr("Check the label column.") if table.source.is_file() else tr(NO_TABLE),
                summary=summary(findings),
            )
        )
    if usable.counts.max() < 2:
        raise DataError(
            tr(
                "No class of {source} has two readable pictures, so nothing can be learned and checked.\n{summary}",
                source=table.source,
                summary=summary(other),
            )
        )
    return replace(usable, findings=tuple(findings)), findings


def _failures(pictures: Pictures, progress: Progress | None) -> dict[int, Exception]:
    """Rows that cannot be read; each of several processes tries its part."""
    world = here()
    parts = world.gather(pictures.load_all(progress, rows=world.part(range(len(pictures))).tolist()))
    return {row: failure for part in parts for row, failure in part.items()}


def _refuse_wrong_folder(table: Table) -> None:
    missing = [row for row, path in enumerate(table.paths) if not os.path.isfile(path)]  # noqa: PTH113  (Path.is_file raises for a name too long)
    if 2 * len(missing) <= len(table):
        return
    row = missing[0]
    raise DataError(
        tr(
            "{place}: {missing} of {table} pictures are missing; {names!r} was looked for as "
            "{paths}. Give the folder that the paths are relative to (images).",
            place=_place(table, row),
            missing=len(missing),
            table=len(table),
            names=table.names[row],
            paths=table.paths[row],
        )
    )


def _place(table: Table, row: int) -> str:
    return (
        tr("{source}, line {lines}", source=table.source, lines=table.lines[row])
        if table.lines[row]
        else str(table.source)
    )


def _finding(table: Table, row: int, failure: Exception) -> Finding:
    if isinstance(failure, FileNotFoundError):
        kind, what, remedy = (
            "missing-file",
            tr("there is no file {paths}", paths=table.paths[row]),
            tr("add the picture or remove the line"),
        )
    else:
        reason = getattr(failure, "reason", failure)
        kind, what, remedy = (
            "unreadable-picture",
            tr("{paths} cannot be read: {reason}", paths=table.paths[row], reason=reason),
            tr("left out of training"),
        )
    return Finding(table.source, table.lines[row], kind, what, remedy, drops=True)


def _class_findings(table: Table, folds: int) -> list[Finding]:
    """Classes with fewer rows than folds; a class without any row is named too."""
    findings = []
    for name, count in zip(table.classes, table.counts, strict=True):
        if count < folds:
            what = tr(
                "the class {name!r} has {count} rows for {folds} folds, so some folds are validated without it",
                name=name,
                count=count,
                folds=folds,
            )
            findings.append(
                Finding(
                    table.source,
                    0,
                    "small-class",
                    what,
                    tr("add pictures, or choose at most {count} folds", count=max(count, 1)),
                )
            )
    return findings + _of_groups(table)


def _of_groups(table: Table) -> list[Finding]:
    """Classes whose rows all lie in one group: the fold that is validated on them has not trained on them."""
    if table.groups is None:
        return []
    findings = []
    for label in np.flatnonzero(table.counts > 1).tolist():
        if len(np.unique(table.groups[table.labels == label])) == 1:
            what = tr(
                "the class {classes!r} lies in one group, so one fold is validated on it untrained",
                classes=table.classes[label],
            )
            findings.append(Finding(table.source, 0, "class-in-one-group", what, tr("add pictures of another group")))
    return findings
