"""python -m recipe audit: look at the data before training; writes a page and tables."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from protocol.arguments import whole
from protocol.columns import IMAGE, LABEL, add_columns
from protocol.csv_file import read_rows
from protocol.errors import UserError
from protocol.language import tr
from protocol.task import other_task
from recipe.data.image_paths import find_images
from recipe.data.reading import read
from recipe.system.console import Bar, say

if TYPE_CHECKING:
    from recipe.data.audit.audit import Audit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which data, compared with what, and where the page goes."""
    parser.epilog = tr(
        "Exit codes: 0 done; 1 stopped with a reason in a sentence, or with --strict: something "
        "to mend was found; 2 an unknown option."
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help=tr("table of pictures and labels; with --run, by default the run's own"),
    )
    source.add_argument(
        "--competition-folder",
        type=Path,
        metavar="DIR",
        help=tr("folder with a train.csv, with CIFAR files or with a folder per class"),
    )
    add_columns(parser, unless=tr("or as the run has it"), groups=True)
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CSV",
        help=tr("a second set to compare with, such as the hidden one where you may look at it"),
    )
    parser.add_argument(
        "--run",
        type=Path,
        dest="run_folder",
        metavar="DIR",
        help=tr("finished run whose out-of-fold probabilities are used instead of a probe"),
    )
    parser.add_argument(
        "--backbone",
        default="tf_efficientnet_lite0",
        metavar="NAME",
        help=tr("network of the probe [tf_efficientnet_lite0]"),
    )
    parser.add_argument(
        "--image-size", type=whole(8, 4096), default=128, metavar="PIXELS", help=tr("of the probe [128]")
    )
    parser.add_argument("--folds", type=whole(2, 100), default=5, metavar="N", help=tr("of the probe [5]"))
    parser.add_argument(
        "--no-labels", action="store_true", help=tr("do not look for wrong labels: no network is needed")
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help=tr("exit code 1 if a picture is unreadable, or a duplicate has two labels or lies in both sets"),
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("data/output/audit"),
        metavar="DIR",
        help=tr("folder of the page [data/output/audit]"),
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the audit and prints its figures."""
    from recipe.data.audit.audit import audit, findings_of
    from recipe.data.audit.page import write_audit
    from recipe.data.audit.probe import FrozenNetwork
    from recipe.data.audit.trained import out_of_fold
    from recipe.data.findings import summary

    source, image_column, label_column = table_asked(arguments)
    table = read(
        source, image_column, label_column, arguments.images, arguments.group_column, encoding=arguments.encoding
    )
    hidden = _second_set(arguments.against, image_column, arguments.encoding) if arguments.against else []
    probs = out_of_fold(arguments.run_folder, table) if arguments.run_folder else None
    network, note = None, tr("not asked for") if probs is None else judged(probs, arguments.run_folder)
    if not arguments.no_labels and probs is None:
        try:
            network = FrozenNetwork(arguments.backbone, arguments.image_size)
        except UserError as error:
            note = tr("no search for wrong labels: {error}", error=error)
    with Bar((2 if network else 1) * len(table) + len(hidden), "picture", tr("looking")) as bar:
        found = audit(
            table, hidden, network, probs, arguments.folds, note=note, progress=lambda ready, total: bar.advance()
        )
    page = write_audit(found, arguments.out)
    mend = findings_of(found)
    say(figures(found))
    if said := [*table.findings, *other_task(table.source, table.label_texts), *mend]:
        say(summary(said))
    say(tr("page     {page}", page=page))
    return 1 if arguments.strict and mend else 0


def table_asked(arguments: argparse.Namespace) -> tuple[Path, str, str]:
    """The table to look at, with its columns of pictures and labels; the run's own where only a run is named.

    Raises:
        UserError: neither is named, or the run's table is gone.
    """
    from recipe.data.audit.trained import own_source

    source, image, label = arguments.csv or arguments.competition_folder, IMAGE, LABEL
    if source is None and arguments.run_folder is None:
        raise UserError(tr("what shall be looked at? Name a table with --csv, a folder with --competition-folder, "
"or a finished run with --run."))  # fmt: skip
    if source is None:
        source, image, label = own_source(arguments.run_folder)
    return source, arguments.image_column or image, arguments.label_column or label


def judged(probs: np.ndarray, run: Path) -> str:
    """What a run could say of the rows."""
    known = int(np.isfinite(probs).all(axis=1).sum())
    rest = (
        tr("; {probs} could not be judged: the run holds no answer for them", probs=len(probs) - known)
        if known < len(probs)
        else ""
    )
    return tr(
        "{known} of {probs} judged by the out-of-fold probabilities of {run}{rest}",
        known=known,
        probs=len(probs),
        run=run,
        rest=rest,
    )


def figures(found: Audit) -> str:
    """The audit in a few lines."""
    counts, kinds = found.table.counts, [pair.kind for pair in found.pairs]
    lines = [
        tr(
            "pictures {rows} in {classes} classes ({fewest} to {most} each), {unreadable} unreadable",
            rows=len(found.table),
            classes=len(found.table.classes),
            fewest=counts.min(),
            most=counts.max(),
            unreadable=len(found.unreadable),
        ),
        tr(
            "pairs    {exact} exact, {near} resized or saved anew, {mirrored} mirrored; "
            "{across_labels} under two labels, {across_sets} in both sets",
            exact=kinds.count("exact"),
            near=kinds.count("near"),
            mirrored=kinds.count("mirrored"),
            across_labels=len(found.across_labels),
            across_sets=len(found.across_sets),
        ),
        tr("labels   {suspects} probably wrong ({note})", suspects=len(found.suspects), note=found.note),
    ]
    if np.isfinite(found.plain_accuracy):
        lines.append(
            tr(
                "folds    probe {plain_accuracy:.4f} with plain folds, {aware_accuracy:.4f} with duplicates together",
                plain_accuracy=found.plain_accuracy,
                aware_accuracy=found.aware_accuracy,
            )
        )
    return "\n".join(lines)


def _second_set(file: Path, image_column: str, encoding: str) -> Sequence[Path]:
    rows, _ = read_rows(file, [image_column], encoding)
    return find_images(file, rows.columns[image_column], file.parent)[0]
