"""SIGTERM, SIGHUP and Ctrl-C: the step is finished, the state is saved, and the command ends with a sentence and a code
of its own.

    with graceful_stop() as stop:
        ...
        stop.check()     # between steps: raises Stopped once a signal has come

A second Ctrl-C stops at once. SIGKILL and a power cut cannot be heard: what they cost is what was not saved yet.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

from protocol.language import tr
from recipe.system.console import say

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)  # SIGBREAK: Windows


class Stopped(KeyboardInterrupt):
    """A signal has ended the work; `code` is the exit code by custom: 128 and the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


class Stop:
    """Whether a signal asks for an end."""

    def __init__(self) -> None:
        self.asked: int | None = None

    def check(self) -> None:
        """Nothing, until a signal has come.

        Raises:
            Stopped: one has.
        """
        if self.asked is not None:
            raise Stopped(self.asked)

    def hear(self, number: int, frame: Any = None) -> None:
        """The handler: takes the first signal as a request and the second as an order."""
        if self.asked is not None:
            raise Stopped(number)
        self.asked = number
        say(
            tr(
                "{name}: finishing the step and saving the state; once more stops at once",
                name=signal.Signals(number).name,
            )
        )


@contextlib.contextmanager
def graceful_stop() -> Iterator[Stop]:
    """Hears the signals during the block, in the main thread; one that the caller's shell ignores stays ignored."""
    stop = Stop()
    main = threading.current_thread() is threading.main_thread()
    heard = [number for number in SIGNALS if main and signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop.hear) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_at_sigterm() -> None:
    """Outside of training, where there is no step to finish, SIGTERM and SIGHUP end the command as Ctrl-C does, in
    words."""

    def end(number: int, frame: Any) -> None:
        raise Stopped(number)

    for number in SIGNALS:  # nohup has SIGHUP ignored, and so it stays
        if number != signal.SIGINT and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
