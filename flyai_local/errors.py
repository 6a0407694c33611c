"""The exceptions that a command turns into a sentence and an exit code, without a stack trace."""

from __future__ import annotations

import signal

from protocol import errors


class UserError(errors.UserError, ValueError):
    """A mistake that its user can put right: the message names the value, what is accepted and the remedy."""


class Stopped(KeyboardInterrupt):
    """The end by a signal, whichever it was; `code` is the exit code that shells report for it."""

    def __init__(self, number: int) -> None:
        super().__init__("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)
        self.code = 128 + number
