"""Run a submission on 100 training pictures and 100 hidden rows, to see whether it works.

The same path as `train`, only shorter: pack, unpack, `python main.py -e=1 -b=32`, evaluate, score.
"""

from __future__ import annotations

import argparse

from flyai_local.box import limits
from flyai_local.run import launch

EXIT_CODES = launch.EXIT_CODES
SAMPLE = 100  # as many as the platform's own test worked on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `test`."""
    launch.add_training_options(parser, epochs=1)


def run(args: argparse.Namespace) -> int:
    """Run the submission on the sample."""
    return launch.launch(args, "test", limits.TEST, SAMPLE)
