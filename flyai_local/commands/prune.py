"""Give back the disk that old runs take: their work folders and archives.

The newest runs keep theirs, and so does every run on a board. Records and logs always stay. `train`, `test` and
`evaluate` do the same by themselves when they begin.
"""

from __future__ import annotations

import argparse

from flyai_local.board import records
from flyai_local.home import runs_folder
from flyai_local.run.pruning import KEPT_RUNS, prune
from flyai_local.terminal import say
from protocol.arguments import whole
from protocol.language import later, tr

EXIT_CODES = {
    0: later("done; a line says how much was given back"),
    1: later("the records cannot be read"),
    2: later("wrong usage"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``prune``."""
    parser.add_argument(
        "--keep",
        type=whole(0),
        default=KEPT_RUNS,
        metavar="N",
        help=tr("newest runs that keep their folder (%(default)s)"),
    )
    parser.add_argument("--dry-run", action="store_true", help=tr("only tell what would be given back"))


def run(args: argparse.Namespace) -> int:
    """Give back and say what."""
    given = prune(records.open(), runs_folder(), args.keep, args.dry_run)
    for one in given:
        say(tr("run {run}: {bytes:.1f} MB", run=one.run, bytes=one.bytes / 2**20))
    told = (
        later("{runs} runs would give back {size:.1f} MB")
        if args.dry_run
        else later("{runs} runs gave back {size:.1f} MB")
    )
    say(tr(told, runs=len(given), size=sum(one.bytes for one in given) / 2**20))
    return 0
