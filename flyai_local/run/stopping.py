"""SIGTERM and SIGHUP end a run as Ctrl-C does: the submission is ended, its traces are removed, its end is recorded."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flyai_local.errors import Stopped

__all__ = ["stopping"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def stopping() -> Iterator[None]:
    """Turn the first of these signals into `Stopped`; what comes after it does not disturb the cleaning up.

    A signal that the caller ignores (`nohup`) stays ignored. Outside of the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [sign for sign in SIGNALS if signal.getsignal(sign) is not signal.SIG_IGN]

    def stop(number: int, _: object) -> None:
        for sign in heard:
            signal.signal(sign, signal.SIG_IGN)
        raise Stopped(number)

    before = {sign: signal.signal(sign, stop) for sign in heard}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
