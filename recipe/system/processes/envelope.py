"""A refusal on its way from one process to another: any error as what can be pickled, and back."""

from __future__ import annotations

from typing import Any

Written = tuple[type[BaseException], tuple[Any, ...], dict[str, Any]]


def packed(error: BaseException) -> Written:
    """An error in an envelope: its own way to be pickled would call its constructor with the finished sentence."""
    return type(error), error.args, dict(error.__dict__)


def unpacked(written: Written) -> BaseException:
    """The error again, past its constructor."""
    kind, words, fields = written
    error: BaseException = kind.__new__(kind)
    error.args = words
    error.__dict__.update(fields)
    return error
