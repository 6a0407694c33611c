"""python -m recipe task SPEC.json: makes an attempt at a task; what a transport starts on another machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from protocol.language import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file of the task."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help=tr("the task, spec.json in a folder of its own"))


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: done; 1: refused by a sentence; 75: stopped, take it again."""
    from recipe.system.memory import keep_freed_blocks
    from recipe.training.tasks.attempt import run_task

    keep_freed_blocks()
    return run_task(arguments.spec)
