"""Register a folder of your own pictures as a competition.

Every row is checked before anything is kept. The pictures stay where they are; the tables are copied, so add the
competition again with --replace after changing the CSV file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from flyai_local.contest.competitions import hidden_rows, training_classes
from flyai_local.contest.metrics import METRICS
from flyai_local.contest.register import add
from flyai_local.contest.tables import read_table
from flyai_local.flags import time_in
from protocol.arguments import whole
from protocol.columns import add_columns
from protocol.findings import summary
from protocol.language import later, tr

EXIT_CODES = {
    0: later("registered"),
    1: later("refused: a sentence on stderr names the file and line"),
    2: later("wrong usage"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``add``."""
    parser.add_argument(
        "name", metavar="NAME", help=tr("id of the new competition: letters (Chinese too), digits, '_' and '-'")
    )
    parser.add_argument("--csv", type=Path, required=True, help=tr("table of the training pictures with their labels"))
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help=tr("folder that the paths begin from")
    )
    hidden = parser.add_mutually_exclusive_group()
    hidden.add_argument(
        "--hidden-csv", type=Path, metavar="CSV", help=tr("table of the hidden pictures, for the score")
    )
    hidden.add_argument(
        "--hidden",
        type=float,
        metavar="FRACTION",
        help=tr("hide this fraction of every class instead, for instance 0.25"),
    )
    add_columns(parser, images=False)
    parser.add_argument(
        "--metric",
        default="accuracy",
        help=tr("score of the board: {metrics} (%(default)s)", metrics=", ".join(METRICS)),
    )
    parser.add_argument(
        "--minutes",
        type=time_in("minutes"),
        metavar="M",
        help=tr("time that a submission has for training and its answers together"),
    )
    parser.add_argument(
        "--memory-mb", type=time_in("MB"), metavar="MB", help=tr("memory of a submission (80 %% of the machine)")
    )
    parser.add_argument(
        "--disk-mb", type=time_in("MB"), metavar="MB", help=tr("what each phase may write (32768 and 8192)")
    )
    parser.add_argument("--processes", type=whole(), metavar="N", help=tr("processes of a submission at once (256)"))
    parser.add_argument(
        "--replace", action="store_true", help=tr("take the place of an earlier competition of that name")
    )


def run(args: argparse.Namespace) -> int:
    """Register the competition and say what was understood."""
    card = add(**vars(args), say=lambda notes: print(summary(notes), file=sys.stderr) if notes else None)
    rows, hidden = read_table(card.train, *card.columns), len(hidden_rows(card))
    classes = len(training_classes(card))
    print(
        tr(
            "{id}: {classes} classes, {rows} training pictures, {hidden} hidden, in {images}",
            id=card.id,
            classes=classes,
            rows=len(rows),
            hidden=hidden,
            images=card.images,
        )
    )
    if card.hidden is None:
        print(tr("No hidden part: submissions will train but get no score. Add --hidden 0.25 or --hidden-csv for one."))
    if card.minutes:
        print(
            tr(
                "A submission has {minutes:g} minutes, training and answers together; it is told so by FLYAI_MINUTES.",
                minutes=card.minutes,
            )
        )
    return 0
