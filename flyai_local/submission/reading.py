"""How files of strangers are opened: no link is followed, no pipe waited for, and nothing is read without a bound."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from protocol.language import tr

__all__ = ["regular", "small"]

FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def regular(file: Path) -> bool:
    """Whether a regular file stands there itself: no link, no pipe, no device, no folder."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except (OSError, ValueError):
        return False


def small(file: Path, most: int) -> bytes:
    """Content of a regular file of at most so many bytes.

    Raises:
        OSError: it is another thing, larger, or cannot be read.
    """
    handle = os.open(file, FLAGS)
    with open(handle, "rb") as opened:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(tr("{name} is no regular file", name=file.name))
        content = opened.read(most + 1)
    if len(content) > most:
        raise OSError(tr("{name} is larger than {most} bytes", name=file.name, most=most))
    return content
