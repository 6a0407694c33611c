"""The one way in which text that strangers wrote reaches a terminal or the platform's own lines, and lines that survive
their reader.
"""

from __future__ import annotations

import os
import sys
import unicodedata

__all__ = ["keep_open", "say", "shown"]

LONGEST = 2000
# Unicode's control, format (bidirectional marks among them), surrogate, private and line-separating characters.
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def shown(text: object, longest: int = LONGEST) -> str:
    """A text as one harmless line: whatever moves the cursor, breaks the line or hides itself is written as its escape.

    A text that is longer than `longest` characters is cut.
    """
    line = str(text)
    line = line if len(line) <= longest else line[: longest - 3] + "..."
    if line.isprintable():
        return line
    return "".join(_escaped(mark) if unicodedata.category(mark) in UNSEEN else mark for mark in line)


def say(text: object, error: bool = False) -> None:
    """Print one line of the platform. A reader that has gone, or a full disk behind it, ends nothing."""
    stream, handle = (sys.stderr, 2) if error else (sys.stdout, 1)
    if stream is None:
        return
    try:
        print(shown(text), file=stream, flush=True)
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), handle)


def keep_open() -> None:
    """Give the three standard descriptors something harmless where the caller closed them, and every text a form.

    Else the first file that the platform opens becomes its standard output, and a name that the terminal's coding lacks
    ends a run.
    """
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, so this one
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _escaped(mark: str) -> str:
    return mark.encode("unicode_escape").decode("ascii")
