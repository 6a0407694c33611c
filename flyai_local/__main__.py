# PYTHON_ARGCOMPLETE_OK
"""``python -m flyai_local COMMAND``: the platform on your own machine.

A command's module is imported only when the command is named, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType

from flyai_local.errors import Stopped
from flyai_local.terminal import say
from protocol.arguments import Parser, completed_by_shell, completing
from protocol.ending import keep_open, refuse_no_folder, unexpected
from protocol.errors import UserError
from protocol.language import VARIABLE, LanguageError, choose, later, tr
from protocol.nearest import nearest

PROGRAM = "python -m flyai_local"
COMMANDS = {
    "competitions": later("list the competitions that this machine knows"),
    "add": later("register a folder of your own pictures as a competition"),
    "download": later("place the training data of a competition in a folder"),
    "test": later("run a submission on 100 training pictures, to see whether it works"),
    "train": later("run a submission on all training data, evaluate it and put it on the board"),
    "check": later("preflight: find what would fail before it does"),
    "pack": later("write the zip that would be uploaded"),
    "evaluate": later("evaluate a submission that is already trained"),
    "board": later("ranking of the submissions of a competition"),
    "prune": later("give back the disk that old runs take"),
    "log": later("what a run printed, as its participant may see it"),
    "host": later("host a contest for others: a web site, a queue, a worker"),
    "worker": later("run submissions for a contest's site"),
    "login": later("get a token from a contest's site, for submit, board and log"),
    "submit": later("upload a submission to a contest"),
}
INTERRUPTED = 130  # 128 + SIGINT, what shells report for Ctrl-C


def main(argv: list[str] | None = None) -> int:
    """Exit code of one command line: 0 done, 1 refused or failed (a sentence says why), 2 wrong usage."""
    keep_open()
    try:
        arguments = choose(sys.argv[1:] if argv is None else argv)
    except LanguageError as error:
        say(tr("error: {error}", error=error), error=True)
        return 1
    available = _available()
    if (typed := completing(available)) is not None:
        completed_by_shell(_completed(available, typed))
    overview = _overview(available)
    if not arguments or arguments[0] in ("-h", "--help"):
        overview.print_help()
        return 0 if arguments else 2
    name = arguments[0]
    if name not in available:
        close = nearest(name, available)
        known = ", ".join(available)
        overview.error(tr("there is no command {name!r}.{close} Known: {known}.", name=name, close=close, known=known))
    module = importlib.import_module(f"flyai_local.commands.{name}")
    parser = _command_parser(name, module)
    completed_by_shell(parser)
    return _run(module, parser.parse_args(arguments[1:]))


def _run(module: ModuleType, args: argparse.Namespace) -> int:
    if getattr(args, "json", False):
        os.environ[VARIABLE] = "en"  # machines read that
    try:
        refuse_no_folder()
        code = int(module.run(args))
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except UserError as error:
        say(tr("error: {error}", error=error), error=True)
        return 1
    except KeyboardInterrupt as stop:
        say(tr("stopped by {signal}", signal=stop if isinstance(stop, Stopped) else "Ctrl-C"), error=True)
        return stop.code if isinstance(stop, Stopped) else INTERRUPTED
    except BrokenPipeError:  # the reader, for instance `head`, has seen enough
        return _without_reader(0)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            say(tr("error: {error}", error=unexpected(error)), error=True)
            return 1
        say(tr("error: {error}: free some of the disk that the output goes to", error=error), error=True)
        return _without_reader(1)
    except Exception as error:
        say(tr("error: {error}", error=unexpected(error)), error=True)
        return 1


def _without_reader(code: int) -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def _available() -> dict[str, str]:
    folder = Path(__file__).parent / "commands"
    return {name: tr(text) for name, text in COMMANDS.items() if (folder / f"{name}.py").is_file()}


def _overview(available: dict[str, str]) -> Parser:
    width = max(map(len, available))
    listing = "\n".join(f"  {name:<{width}}  {text}" for name, text in available.items())
    return Parser(
        prog=PROGRAM,
        usage=tr("{program} COMMAND [options]", program=PROGRAM),
        description=tr("The platform on your own machine.") + "\n\n" + tr("commands:") + "\n" + listing,
        epilog=tr("'{program} COMMAND --help' explains a command and its exit codes.", program=PROGRAM)
        + "\n"
        + tr("exit codes: 0 done, 1 refused or failed (a sentence on stderr says why), 2 wrong usage, 130 Ctrl-C"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _completed(available: dict[str, str], typed: str) -> Parser:
    """All commands, and the options of the one in the line that the shell completes."""
    whole = Parser(prog=PROGRAM)
    commands = whole.add_subparsers(parser_class=Parser)
    for name in available:
        sub = commands.add_parser(name)
        if name == typed:
            importlib.import_module(f"flyai_local.commands.{name}").add_arguments(sub)
    return whole


def _command_parser(name: str, module: ModuleType) -> Parser:
    about = inspect.getdoc(module) or PROGRAM
    parser = Parser(
        prog=f"{PROGRAM} {name}", description=tr(about), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    if parser.epilog is None:
        codes = getattr(module, "EXIT_CODES", {})
        parser.epilog = "\n".join([tr("exit codes:"), *(f"  {code}  {tr(meaning)}" for code, meaning in codes.items())])
    return parser


if __name__ == "__main__":
    sys.exit(main())
