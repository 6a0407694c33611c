"""How text that strangers wrote reaches a terminal or the platform's own lines, and lines that outlive a reader."""

from __future__ import annotations

import os
import sys
import unicodedata

__all__ = ["say", "shown"]

LONGEST = 2000
# Unicode's control, format (bidirectional marks among them), surrogate, private and line-separating characters.
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def shown(text: object, longest: int = LONGEST) -> str:
    """A text as one harmless line: whatever moves the cursor, breaks the line or hides itself is written as its escape.

    What is longer than `longest` characters, its escapes written out, is cut.
    """
    line = str(text)[: longest + 1]
    if not line.isprintable():
        line = "".join(_escaped(mark) if unicodedata.category(mark) in UNSEEN else mark for mark in line)
    return line if len(line) <= longest else line[: longest - 3] + "..."


def say(text: object, error: bool = False) -> None:
    """Print one line of the platform. A reader that has gone, or a full disk behind it, ends nothing."""
    stream, handle = (sys.stderr, 2) if error else (sys.stdout, 1)
    if stream is None:
        return
    try:
        print(shown(text), file=stream, flush=True)
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), handle)


def _escaped(mark: str) -> str:
    return mark.encode("unicode_escape").decode("ascii")
