"""Run a submission on all training data, evaluate it on the hidden rows and put it on the board."""

from __future__ import annotations

import argparse

from flyai_local.box import limits
from flyai_local.run import launch

EXIT_CODES = launch.EXIT_CODES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `train`."""
    launch.add_training_options(parser, epochs=10)


def run(args: argparse.Namespace) -> int:
    """Run the submission on everything."""
    return launch.launch(args, "train", limits.TRAIN)
