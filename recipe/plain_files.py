"""JSON and YAML as plain values, from files that may have been written by anybody.

The libraries raise whatever they meet: a nesting that is too deep, a date without a month, a number of 5,000 digits.
Here all of it is one error with a clause. YAML's aliases are refused: nine lines of them stand for a billion values,
and settings need none.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 2**20  # of a YAML file; settings are a few kilobytes
MOST_LEVELS = 50  # PyYAML's time grows with the square

_OPENED = re.compile(rf"(?:[\[{{]\s*){{{MOST_LEVELS + 1}}}")


class Unreadable(ValueError):  # noqa: N818  (says what it is)
    """A file that is not what it should be: why, as a clause."""


class _Loader(yaml.SafeLoader):
    """Plain values, each of them written out, in few levels."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise Unreadable(
                f"line {self.peek_event().start_mark.line + 1} holds an alias (*name); write the value out"
            )
        if self.depth == MOST_LEVELS:
            raise Unreadable(f"it is nested more than {MOST_LEVELS} levels deep")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def read_yaml(path: Path) -> Any:
    """The content of a YAML file in UTF-8, with or without a byte order mark.

    Raises:
        OSError: it cannot be opened.
        Unreadable: it is not YAML in UTF-8, too long or too deep, or holds an alias.
    """
    with open(path, "rb") as file:
        encoded = file.read(MOST_BYTES + 1)
    if len(encoded) > MOST_BYTES:
        raise Unreadable(f"it is longer than {MOST_BYTES:,} bytes")
    try:
        text = encoded.decode("utf-8-sig")
        if _OPENED.search(text):  # PyYAML looks 1,024 characters ahead, at the square of what stands there
            raise Unreadable(f"it is nested more than {MOST_LEVELS} levels deep")
        return yaml.load(text, _Loader)  # a safe loader: plain values alone
    except Unreadable:
        raise
    except (
        yaml.YAMLError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:  # as PyYAML's constructors raise
        raise Unreadable(f"it is not YAML in UTF-8: {' '.join(str(error).split())}") from None


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds names and values.

    Raises:
        OSError: it cannot be opened.
        Unreadable: it is not JSON in UTF-8, is nested too deeply, or holds anything else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except ValueError as error:
        raise Unreadable(f"it is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise Unreadable("it holds no names with values")
    return content
