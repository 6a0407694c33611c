"""The commands that pages and messages propose, built from the very parsers that will read them.

    proposed("audit", run_folder=folder)     # python -m recipe audit --run data/output/birds
    proposed("main", resume=True)            # python main.py --resume

A value that is the option's default is left out. The text can be typed as it stands where the reader is: with the
interpreter that runs now, and with `cd` before it where the project lies elsewhere.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent


def proposed(command: str, /, **values: Any) -> str:
    """A command line of `main` (main.py) or of a command of `python -m recipe`.

    Args:
        values: by the names under which the parser keeps its options; True sets a flag, a list gives several words.

    Raises:
        ValueError: the parser has no such option, or refuses the words: a fault of the place that proposes them.
    """
    parser = parser_of(command)
    words = [word for action in _ordered(parser) if action.dest in values
             for word in _words(action, values.pop(action.dest))]  # fmt: skip
    if values:
        raise ValueError(f"{command} has no option {', '.join(values)}")
    parsed(parser, words)
    program = ["main.py"] if command == "main" else ["-m", "recipe", command]
    here = "" if Path.cwd() == PROJECT else f"cd {quoted(str(PROJECT))} && "
    return here + " ".join(map(quoted, [_interpreter(), *program, *words]))


def go_on(folder: Path) -> str:
    """The command that goes on with the run in a folder."""
    usual = folder.resolve() == (PROJECT / "data" / "output" / "model").resolve()
    return proposed("main", resume=True, output=None if usual else folder)


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of `main` or of a command of `python -m recipe`.

    They stand above every room and are imported by name when a command is proposed, and not before.
    """
    front = importlib.import_module(f"recipe.{'flags' if command == 'main' else '__main__'}")
    made: argparse.ArgumentParser = front.parser() if command == "main" else front.command_parser(command)
    return made


def parsed(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """What the parser makes of the words.

    Raises:
        ValueError: it refuses them; it would end the program else.
    """

    def refuse(message: str) -> None:
        raise ValueError(f"{parser.prog}: {message}")

    parser.error = refuse  # type: ignore[method-assign,assignment]
    return parser.parse_args(words)


def _ordered(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """What stands without a name comes first: an option with several values would swallow it."""
    return sorted(parser._actions, key=lambda action: bool(action.option_strings))


def _words(action: argparse.Action, value: Any) -> list[str]:
    flag = next((name for name in action.option_strings if name.startswith("--") and name.islower()), "")
    if value is None or value is False or _same(value, action.default):
        return []
    if action.nargs == 0:
        return [flag]
    several = list(map(_shown, value)) if isinstance(value, (list, tuple)) else [_shown(value)]
    if not flag:
        return [f"./{word}" if word.startswith("-") else word for word in several]
    if len(several) == 1:
        return [f"{flag}={several[0]}"] if several[0].startswith("-") else [flag, several[0]]
    repeated = action.nargs is None  # action="append"
    return [word for one in several for word in (flag, one)] if repeated else [flag, *several]


def _same(value: Any, default: Any) -> bool:
    if isinstance(default, Path) and isinstance(value, (str, Path)):
        return (PROJECT / value).resolve() == (PROJECT / default).resolve()
    return default is not None and value == default


def _shown(value: Any) -> str:
    """A path from the project's folder on where it lies there, else whole."""
    if not isinstance(value, Path):
        return str(value)
    whole = value.absolute()
    return os.path.relpath(whole, PROJECT) if whole.is_relative_to(PROJECT) else str(whole)


def _interpreter() -> str:
    """`python` where that is this interpreter, else the one of the project's environment that was not entered."""
    running, typed = Path(sys.executable), shutil.which("python")
    if (typed and Path(typed).parent == running.parent) or not running.is_relative_to(PROJECT):
        return "python"
    return os.path.relpath(running, PROJECT)


def quoted(word: str) -> str:
    """The word as the reader's shell takes it."""
    if os.name == "nt":
        return f'"{word}"' if re.search(r"[^\w./\\:=,+-]", word) else word
    return shlex.quote(word)
