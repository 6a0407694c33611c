"""python -m recipe evaluate CSV: scores a labelled table with a trained run, with the pages of the report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from protocol.columns import add_columns
from protocol.language import tr
from recipe.flags import add_answering_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The table, the run and where the page goes."""
    parser.add_argument(
        "csv", type=Path, metavar="CSV", help=tr("labelled pictures: a CSV, or a folder with one folder per class")
    )
    add_answering_run(parser)
    add_columns(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=tr("folder of the page and its files [RUN/evaluation-NAME]")
    )
    parser.add_argument("--no-page", action="store_true", help=tr("the scores alone, without the page"))


def run(arguments: argparse.Namespace) -> int:
    """Prints every metric with its interval and writes the page."""
    from recipe.report.page import write_page
    from recipe.report.sections.scores import metric_grid
    from recipe.system.console import say
    from recipe.system.console import table as aligned
    from recipe.system.memory import keep_freed_blocks

    keep_freed_blocks()
    evidence = answered(arguments)
    grid = metric_grid(evidence)
    say(aligned([tr(name) for name in grid.header], [[str(cell) for cell in row] for row in grid.rows]))
    for note in evidence.notes:
        say(note)
    if not arguments.no_page:
        folder = arguments.out or arguments.folder / f"evaluation-{arguments.csv.stem}"
        say(tr("page  {write_page}", write_page=write_page(evidence, folder / "evaluation.html", folder / "report")))
    return 0


def answered(arguments: argparse.Namespace) -> Any:
    """The table with the ensemble's answers, as evidence for a page.

    Raises:
        DataError: the table cannot be read, or holds no row with a class of the run and a picture.
        CheckpointError: nothing was trained there.
    """
    import numpy as np

    from recipe.data.findings import summary
    from recipe.data.reading import read_labelled
    from recipe.pictures.cache import Pictures
    from recipe.pictures.preprocessing import short_side
    from recipe.report.evidence import Evidence
    from recipe.runs.epochs import read_logs
    from recipe.runs.folder import read_about, read_oof, read_scores
    from recipe.serving.predict import Ensemble

    info, totals = read_about(arguments.folder), read_scores(arguments.folder)
    logs = read_logs(arguments.folder / "log.jsonl")
    ensemble = Ensemble(arguments.folder, arguments.device)
    table, labels = read_labelled(
        arguments.csv, ensemble.values, arguments.image_column, arguments.label_column, arguments.images,
        arguments.encoding,
    )  # fmt: skip
    probs = ensemble.probs_of_files(table.paths, progress=True)
    notes = [summary(list(table.findings))] if table.findings else []
    if ensemble.unreadable:
        notes.append(
            tr(
                "{count} pictures could not be read and count with the class prior: {names}",
                count=len(ensemble.unreadable),
                names=", ".join(ensemble.unreadable[:3]),
            )
        )
    if known := len(set(table.names) & set(read_oof(arguments.folder / "oof.csv", info["classes"]).names)):
        notes.append(
            tr(
                "{known} of the {table} pictures bear the name of one the run was trained on: the scores flatter.",
                known=known,
                table=len(table),
            )
        )
    pictures = Pictures(table.paths, short_side(ensemble.members[0].preprocessing), cache_mb=256)
    return Evidence(
        arguments.folder,
        tr("{table}, answered by {run}", table=arguments.csv.name, run=arguments.folder.name),
        info,
        totals,
        logs,
        table.names,
        labels,
        probs,
        np.full(len(labels), -1),
        pictures,
        out_of_fold=False,
        notes=notes,
        table=arguments.csv,
    )
