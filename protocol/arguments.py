"""Command lines of both programs: a mistyped option is answered with the nearest one, and `--help` with what is asked
for most; `--help SECTION`, `--help OPTION` and `--help all` have the rest.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Callable, Collection
from typing import Any, NoReturn

from protocol.language import FLAG, LANGUAGES, later, tr
from protocol.nearest import nearest

# What argparse says of its own accord, by the words that it says it in.
_TOLD = (
    later("the following arguments are required: {names}"),
    later("argument {name}: expected one argument"),
    later("argument {name}: expected at least one argument"),
    later("argument {name}: expected {count} arguments"),
    later("argument {name}: invalid choice: {given} (choose from {known})"),
    later("argument {name}: invalid {kind} value: {given}"),
    later("argument {name}: not allowed with argument {other}"),
    later("argument {name}: {why}"),
    later("one of the arguments {names} is required"),
)

MENTIONED = "unrecognized arguments: "
ALL = "all"
SLIP = 0.8  # so alike are a word and itself with a letter left out, doubled or exchanged


class Help(argparse.Action):
    """`--help`, `--help SECTION`, `--help OPTION`, `--help all`."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> NoReturn:
        """Prints it and ends the program."""
        sys.stdout.write(parser.help_of(values))
        raise SystemExit(0)


class Chosen(argparse.Action):
    """`--lang`, of which `protocol.language.choose` made use before there was a parser."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Nothing is left to do."""


class Parser(argparse.ArgumentParser):
    """A parser whose refusal is one sentence, and whose help can be had in sections.

    `section` makes a group that `--help` does not show, but for what `usual` names.
    """

    def __init__(self, *words: Any, **settings: Any) -> None:
        settings.setdefault("allow_abbrev", False)
        super().__init__(*words, **{**settings, "add_help": False})
        self.sections: dict[str, argparse._ArgumentGroup] = {}
        self.usual: Collection[str] = ()
        self.elsewhere: dict[str, str] = {}  # option of other programs: what it is called here
        self.parts: Callable[[str], str] = lambda word: ""  # what takes the word as a setting, where it is no option
        # No value of its own in the result.
        suppressed: dict[str, Any] = {"dest": argparse.SUPPRESS, "default": argparse.SUPPRESS}
        self.add_argument(
            "-h", "--help", nargs="?", action=Help, metavar="SECTION", help=tr("show this help and end"), **suppressed
        )
        known = "|".join(LANGUAGES)
        spoken = tr("language of what is printed [as the system's]")
        self.add_argument(FLAG, action=Chosen, metavar=known, help=spoken, **suppressed)
        self._positionals.title, self._optionals.title = tr("positional arguments"), tr("options")

    def section(self, name: str, description: str) -> argparse._ArgumentGroup:
        """A group of options that `--help NAME` shows."""
        self.sections[name] = self.add_argument_group(name, description)
        return self.sections[name]

    def format_help(self) -> str:
        """What `--help` prints."""
        return self.help_of(None)

    def help_of(self, wanted: str | None) -> str:
        """The usual options, a section, or everything."""
        one = [action for action in self._actions if wanted and _named(action, wanted)]
        if one and wanted not in self.sections:
            formatter = self._get_formatter()
            formatter.add_arguments(one)
            return formatter.format_help()
        if wanted not in (None, ALL, *self.sections):
            close = nearest(str(wanted), [*self.sections, ALL])
            self.error(tr("--help has no section {wanted!r}.{close}", wanted=wanted, close=close))
        formatter = self._get_formatter()
        if wanted is None or wanted == ALL:
            short = self.usage or tr("%(prog)s [options]") if self.sections else self.usage
            formatter.add_usage(short, self._actions, self._mutually_exclusive_groups, tr("usage: "))
            formatter.add_text(self.description)
        for group in self._action_groups:
            hidden = group in self.sections.values()
            if group is self.sections.get(wanted or "") or wanted == ALL or (wanted is None and not hidden):
                self._add(formatter, group.title, group.description, group._group_actions)
        if wanted is None and self.sections:
            usual = [action for action in self._actions if action.dest in self.usual]
            self._add(formatter, tr("settings asked for most"), None, usual)
        text = formatter.format_help()
        return text + (self._contents() if wanted is None else "") + self._ending(wanted)

    def _add(self, formatter: Any, title: str | None, description: str | None, actions: Any) -> None:
        formatter.start_section(title)
        formatter.add_text(description)
        formatter.add_arguments(actions)
        formatter.end_section()

    def _contents(self) -> str:
        if not self.sections:
            return ""
        lines = ["", tr("more settings:")]
        for name, group in self.sections.items():
            names = ", ".join(action.dest.replace("_", "-") for action in group._group_actions)
            lines += textwrap.wrap(names, 110, initial_indent=f"  --help {name:<13} ", subsequent_indent=" " * 23)
        return "\n".join([*lines, f"  --help {ALL:<13} " + tr("everything"), ""])

    def _ending(self, wanted: str | None) -> str:
        if not self.epilog or wanted not in (None, ALL):
            return ""
        formatter = self._get_formatter()
        formatter.add_text(self.epilog)
        return "\n" + formatter.format_help()

    def error(self, message: str) -> NoReturn:
        """Ends the program with 2."""
        first = tr("error: {error}", error=self.explained(message))
        sys.stderr.write(first + "\n" + tr("`{program} --help` lists the options.", program=self.prog) + "\n")
        raise SystemExit(2)

    def explained(self, message: str) -> str:
        """The message of argparse, with what was meant where an option is unknown."""
        if not message.startswith(MENTIONED):
            return _retold(message)
        words = message.removeprefix(MENTIONED).split()
        parsers = [self, *(part for action in self._actions if isinstance(action.choices, dict)
                           for part in action.choices.values())]  # fmt: skip
        known = [name for part in parsers for action in part._actions for name in action.option_strings]
        unknown = [word.split("=")[0] for word in words if word.startswith("-")]
        if not unknown:
            return tr("nothing takes the word {words!r}.", words=" ".join(words))
        return " ".join(tr("there is no option {word}.{close}", word=word, close=self._meant(word, known))
                        for word in unknown)  # fmt: skip

    def _meant(self, word: str, known: Collection[str]) -> str:
        """The option that is nearly the same, else what takes the word as a setting, else the nearest option."""
        elsewhere = {typed: here for typed, here in self.elsewhere.items() if here in known}
        surely = nearest(word, known, elsewhere, least=SLIP)
        return surely or self.parts(word.lstrip("-")) or nearest(word, known, elsewhere, least=0.7)


def _named(action: argparse.Action, wanted: str) -> bool:
    """Whether it is the option that `lr`, `batch_size` or `batch-size` means."""
    return wanted.replace("_", "-") in {name.lstrip("-") for name in action.option_strings}


def _retold(message: str) -> str:
    """A refusal of argparse in the language of this process; one that it words otherwise stays as it is."""
    for known in _TOLD:
        form = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(known))
        if found := re.fullmatch(form, message, re.DOTALL):
            given, choices = found.groupdict().get("given", ""), found.groupdict().get("known", "")
            return tr(known, **found.groupdict()) + nearest(
                given.strip("'"), re.findall(r"[^\s',]+", choices), least=0.7
            )
    return message


def whole(least: int = 1, most: int = 2**31 - 1) -> Callable[[str], int]:
    """What reads a whole number of the command line; one that is out of its range is refused as wrong usage."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                tr(
                    "{given!r} is refused: give a whole number from {least} to {most}",
                    given=text[:40],
                    least=least,
                    most=most,
                )
            )
        return int(text)

    return read


def completing(commands: Collection[str]) -> str | None:
    """The command in the line that the shell is completing, or "" where none is typed yet; None at any other time."""
    if "_ARGCOMPLETE" not in os.environ:
        return None
    return next((word for word in os.environ.get("COMP_LINE", "").split() if word in commands), "")


def completed_by_shell(parser: argparse.ArgumentParser) -> None:
    """Lets the shell complete words where argcomplete is installed (docs/settings.md); nothing else."""
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(parser)
