"""Place the training data of a competition in a folder: train.csv and the pictures it names.

The hidden part is never placed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from flyai_local.contest.competitions import competition, place
from flyai_local.errors import UserError
from protocol.arguments import whole
from protocol.language import later, tr

EXIT_CODES = {
    0: later("the data is in place"),
    1: later("no such competition, or its pictures cannot be placed: a sentence on stderr says which"),
    2: later("wrong usage"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``download``."""
    parser.add_argument("id", metavar="ID", help=tr("id of the competition (see the command 'competitions')"))
    parser.add_argument("--to", type=Path, metavar="FOLDER", help=tr("where to place it (data/input/ID)"))
    parser.add_argument(
        "--limit", type=whole(), metavar="N", help=tr("only N pictures, taken from the classes in turn")
    )
    parser.add_argument("--copy", action="store_true", help=tr("real copies instead of links to the pictures"))


def run(args: argparse.Namespace) -> int:
    """Place the data and say how much lies where."""
    chosen = competition(args.id)
    folder = args.to if args.to is not None else Path("data", "input", chosen.id)
    try:
        count = place(chosen, folder, limit=args.limit, copy=args.copy)
    except OSError as error:
        raise UserError(
            tr("{folder!r} cannot be written: {error}", folder=str(folder), error=error.strerror or error)
        ) from error
    print(tr("{id}: {count} training pictures in {folder}", id=chosen.id, count=count, folder=folder))
    return 0
