"""Text as every database can keep it: no NUL and no half of a character, which PostgreSQL or both refuse.

Such text comes from everywhere (a form, a cookie, the last words of a program that a worker ran), so it is made plain
where it all passes: on its way to the database. What is refused there would else be a fault of the site, and a run
whose end cannot be noted would be run again for nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from django.db.backends.signals import connection_created

__all__ = ["cell", "guard_connections", "one_line", "plain", "whole"]

UNKEPT = re.compile("[\x00\ud800-\udfff]")
MARK = "\ufffd"
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # moves the cursor, turns the line round, or is not seen


def plain(value: Any) -> Any:
    """The value with every text in it made plain; what is none stays as it is."""
    if isinstance(value, str):
        return UNKEPT.sub(MARK, value)
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    if hasattr(value, "obj") and hasattr(value, "dumps"):  # JSON on its way to PostgreSQL
        return type(value)(plain(value.obj), dumps=value.dumps)
    return value


def one_line(text: str) -> str:
    """A name or a note as one line that shows all it holds: composed (NFC), single blanks, nothing unseen."""
    seen = "".join(" " if mark in "\t\n\r" else mark for mark in unicodedata.normalize("NFC", text))
    return " ".join("".join(m for m in seen if unicodedata.category(m) not in UNSEEN).split())


def whole(text: str) -> int | None:
    """The whole number that a text is in plain digits, None where it is none or larger than any that the site has."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def cell(value: object) -> object:
    """A value for a CSV. A spreadsheet runs a text that begins like a formula: such a text gets an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else "" if value is None else value


def guard_connections() -> None:
    """Let every connection of this process make plain what it is given."""
    connection_created.connect(_guard, dispatch_uid="flyai.plain")


def _guard(connection: Any, **_: Any) -> None:
    if _execute not in connection.execute_wrappers:
        connection.execute_wrappers.append(_execute)


def _execute(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    return execute(sql, plain(params), many, context)
