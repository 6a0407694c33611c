"""What pydantic says of a value that it refuses, as a clause in the reader's language."""

from __future__ import annotations

from typing import Any

from protocol.language import later, tr

_TOLD = {  # by the type of the issue; the places are those of its context
    "greater_than": later("input should be greater than {gt}"),
    "greater_than_equal": later("input should be greater than or equal to {ge}"),
    "less_than": later("input should be less than {lt}"),
    "less_than_equal": later("input should be less than or equal to {le}"),
    "int_parsing": later("a whole number is expected"),
    "int_from_float": later("a whole number is expected, without a fraction"),
    "float_parsing": later("a number is expected"),
    "bool_parsing": later("true or false is expected"),
    "finite_number": later("a finite number is expected"),
    "literal_error": later("input should be {expected}"),
    "string_type": later("a text is expected"),
}


def clause(issue: Any) -> str:
    """Why a value is refused: one of `ValidationError.errors()`, without the full stop and with a small letter."""
    message = issue["msg"].removeprefix("Value error, ").rstrip(".")
    if known := _TOLD.get(issue["type"]):
        return tr(known, **issue.get("ctx", {}))
    return f"{message[0].lower()}{message[1:]}"
