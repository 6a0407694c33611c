"""JSON and YAML as plain values, from files that may have been written by anybody.

The libraries raise whatever they meet: a nesting that is too deep, a date without a month, a number of 5,000 digits.
Here all of it is one error with a clause. YAML's aliases and merge keys are refused: nine lines of them stand for a
billion values, and settings need none.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from protocol.language import tr

MOST_BYTES = 2**18  # of a YAML file; settings are a few kilobytes
MOST_LEVELS = 50  # PyYAML's time grows with the square
LONGEST_NUMBER = 40  # characters; a longer one stays text, because its value may take hours

_OPENED = re.compile(rf"(?:[\[{{]\s*){{{MOST_LEVELS + 1}}}")
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class Unreadable(ValueError):  # noqa: N818  (says what it is)
    """A file that is not what it should be: why, as a clause, and in which line (0 where that is not known)."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(tr("line {line}: {why}", line=line, why=why) if line else why)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Plain values, each of them written out, in few levels."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1
            raise Unreadable(tr("an alias (*name) is not read; write the value out"), line)
        if self.depth == MOST_LEVELS:
            raise Unreadable(tr("it is nested more than {most_levels} levels deep", most_levels=MOST_LEVELS))
        self.depth += 1
        try:
            return _plain(super().compose_node(parent, index))
        finally:
            self.depth -= 1


def _plain(node: Any) -> Any:
    if isinstance(node, yaml.ScalarNode):
        if node.tag == "tag:yaml.org,2002:merge":
            raise Unreadable(tr("a merge key (<<) is not read; write the values out"), node.start_mark.line + 1)
        if node.tag in _NUMBERS and len(node.value) > LONGEST_NUMBER:
            node.tag = "tag:yaml.org,2002:str"
    return node


def read_yaml(path: Path) -> Any:
    """The content of a YAML file in UTF-8, with or without a byte order mark.

    Raises:
        OSError: it cannot be opened.
        Unreadable: it is not UTF-8, or as `parse_yaml` says.
    """
    with open(path, "rb") as file:
        encoded = file.read(MOST_BYTES + 1)
    if len(encoded) > MOST_BYTES:
        raise Unreadable(tr("it is longer than {most_bytes:,} bytes", most_bytes=MOST_BYTES))
    try:
        text = encoded.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(tr("it is not YAML in UTF-8: {error}", error=error)) from None
    return parse_yaml(text)


def parse_yaml(text: str) -> Any:
    """The first document of a YAML text; None where there is nothing in it.

    Raises:
        Unreadable: it is not YAML, too long or too deep, or holds an alias or a merge key.
    """
    if len(text) > MOST_BYTES:
        raise Unreadable(tr("it is longer than {most_bytes:,} characters", most_bytes=MOST_BYTES))
    if _OPENED.search(text):  # PyYAML looks 1,024 characters ahead, at the square of what stands there
        raise Unreadable(tr("it is nested more than {most_levels} levels deep", most_levels=MOST_LEVELS))
    try:
        return next(yaml.load_all(text, _Loader), None)  # a safe loader: plain values alone
    except Unreadable:
        raise
    except (
        yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError,
    ) as error:  # as PyYAML's constructors raise  # fmt: skip
        mark = getattr(error, "problem_mark", None)
        raise Unreadable(
            tr("it is not YAML: {error}", error=" ".join(str(error).split())), mark.line + 1 if mark else 0
        ) from None


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds names and values.

    Raises:
        OSError: it cannot be opened.
        Unreadable: it is not JSON in UTF-8, is nested too deeply, or holds anything else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise Unreadable(tr("it is nested too deeply")) from None
    except ValueError as error:
        raise Unreadable(tr("it is not JSON ({error})", error=error), int(getattr(error, "lineno", 0))) from None
    if not isinstance(content, dict):
        raise Unreadable(tr("it holds no names with values"))
    return content
