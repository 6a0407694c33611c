"""Silence for C libraries that print to the console on their own.

libjpeg and libpng, inside OpenCV, write "Corrupt JPEG data" and the like to the C stream `stderr`, past every log
setting. Here that stream, not the file descriptor, is pointed elsewhere while a picture is decoded: Python's own
messages and progress bars go on.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

from recipe.pictures.fork_safe import lock

_SYMBOL = "__stderrp" if sys.platform == "darwin" else "stderr"
_lock = lock()
_depth = 0


def _streams() -> tuple[ctypes.c_void_p, int | None, int] | None:
    """The C variable `stderr`, its value, a stream that swallows; None where C hides the variable (Windows)."""
    try:
        library = ctypes.CDLL(None)
        library.fopen.restype = ctypes.c_void_p
        slot = ctypes.c_void_p.in_dll(library, _SYMBOL)
        sink = library.fopen(os.fsencode(os.devnull), b"w")
    except (OSError, TypeError, ValueError, AttributeError):
        return None
    return (slot, slot.value, sink) if sink else None


_STREAMS = _streams()


@contextlib.contextmanager
def quiet_c_libraries() -> Iterator[None]:
    """While any thread is inside, what C code prints to its `stderr` is dropped; a no-op on Windows."""
    _turn(+1)
    try:
        yield
    finally:
        _turn(-1)


def _turn(change: int) -> None:
    global _depth
    with _lock:
        _depth += change
        if _STREAMS is not None:
            slot, console, sink = _STREAMS
            slot.value = sink if _depth else console
