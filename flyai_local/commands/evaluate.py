"""Evaluate a submission that is already trained, in a copy of its folder.

The folder keeps its models; the hidden pictures are brought into the copy and nowhere else.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from flyai_local.box import limits
from flyai_local.run import launch
from protocol.language import tr

EXIT_CODES = launch.EXIT_CODES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `evaluate`."""
    parser.add_argument("submission", type=Path, metavar="DIR", help=tr("folder of the trained submission"))
    launch.add_run_options(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate the folder."""
    return launch.launch(args, "evaluate", limits.TRAIN)
