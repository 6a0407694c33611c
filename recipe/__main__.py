# PYTHON_ARGCOMPLETE_OK
"""python -m recipe COMMAND: what surrounds training. Only the named command is imported, so --help is quick."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from protocol.arguments import Parser, completed_by_shell, completing
from protocol.language import choose, later, tr
from recipe import __version__
from recipe.cli import guarded

COMMANDS = {
    "readme": later("put the picture and the closing table of a run into the README"),
    "names": later("list the components that settings can name"),
    "docs": later("write the generated documents (components, settings, modules, limit cases) from the code"),
    "audit": later("look at the data first: faults, duplicates, balance, likely wrong labels"),
    "tune": later("choose views, test size, soup, weights and temperature on out-of-fold rows"),
    "distill": later("one network in place of a run's folds, with accuracy, size and time before and after"),
    "report": later("one page of what a run did: how good, where wrong, why, what next"),
    "evaluate": later("score a labelled table with a trained run"),
    "runs": later("the record of all runs: sort, filter, compare"),
    "predict": later("write a table of answers for a folder or a CSV"),
    "export": later("write the folds for a faster runtime that starts without torch, and prove them equal"),
    "lr-find": later("learning-rate range test on the very update that training uses"),
    "sweep": later("try settings against each other: grid, random or TPE, with seeds, pruning and resume"),
    "task": later("make an attempt at a task: what a transport starts on another machine"),
    "tasks": later("the tasks of a run or a sweep: queued, running where, done, failed and why"),
}
ROOMS = {"task": "tasks.task", "tasks": "tasks.tasks"}  # commands in a room of their own
EXIT_CODES = later(
    "Exit codes: 0 done; 1 stopped with a reason in a sentence; "
    "2 a command or option that does not exist; 130 interrupted."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    return guarded(lambda: _command(choose(sys.argv[1:] if argv is None else argv)))


def _command(words: list[str]) -> int:
    parser = Parser(prog="python -m recipe", epilog=tr(EXIT_CODES), description=tr("What surrounds training."))
    parser.add_argument(
        "--version", action="version", help=tr("show the version and end"), version=f"flyai-recipe {__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    named = completing(COMMANDS) or (words[0] if words else "")
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=tr(summary), description=tr(summary), epilog=tr(EXIT_CODES))
        if name == named:
            fill(sub, name)
    completed_by_shell(parser)
    arguments = parser.parse_args(words)
    return int(arguments.run(arguments))


def fill(parser: argparse.ArgumentParser, name: str) -> None:
    """Gives a parser the options of a command, whose module is imported for it."""
    module = importlib.import_module(f"recipe.commands.{ROOMS.get(name, name.replace('-', '_'))}")
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)


def command_parser(name: str) -> Parser:
    """The parser of one command on its own."""
    parser = Parser(prog=f"python -m recipe {name}")
    fill(parser, name)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
