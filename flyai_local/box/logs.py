"""Logs of a run: written line by line as they come, bounded, and without what could draw on a terminal."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

__all__ = ["Log", "cleaned"]

# Escape sequences, control characters, line separators, and the marks that turn the direction of a text.
CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
LONGEST_LINE = 65536
TAIL_LINES = 40


def cleaned(line: bytes) -> str:
    """The text of one printed line: what stands after the last carriage return, without control characters."""
    return CONTROL.sub("", line.decode("utf-8", errors="replace").rstrip("\r\n").rsplit("\r", 1)[-1])


def _cut(text: str, most: int) -> str:
    """As much of a text as fits into so many bytes."""
    return text.encode()[: max(most, 0)].decode(errors="ignore")


class Log:
    """One phase's log file.

    Of `visible_mb`, the file holds the first half as it comes; the middle is left out, and the other half is for the
    last lines, which follow when the log is closed: enough for the cause of a failure, too little to carry the hidden
    pictures out. Nothing of what was left out can be had elsewhere.

    Args:
        path: the file; it is emptied.
        limit_mb: `full` becomes true beyond it.
        visible_mb: what may be seen of the log in all; everything when None.
        echo: called with every line that goes to the file.
    """

    def __init__(
        self, path: Path, limit_mb: float, visible_mb: float | None = None, echo: Callable[[str], None] | None = None
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.full = False
        self._limit = limit_mb * 2**20
        self._half = None if visible_mb is None else int(visible_mb * 2**19)
        self._echo = echo
        self._count = 0
        self._left_out = 0
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._lock = threading.Lock()
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def write(self, line: bytes | str) -> None:
        """Append one line and flush it; beyond the limit it only notes that the log is full."""
        text = cleaned(line if isinstance(line, bytes) else line.encode("utf-8", errors="replace"))
        with self._lock:
            self._count += len(line) + 1
            self.full = self._count > self._limit
            if self.full or self._file.closed:
                return
            self._tail.append(_cut(text, 2000 if self._half is None else min(2000, self._half - 1)))
            if self._half is not None and self._count > self._half:
                self._left_out += 1
                return
            self._file.write(f"{time.strftime('%H:%M:%S')} {text}\n")
            self._file.flush()
        if self._echo is not None:
            self._echo(text)

    def pump(self, stream: BinaryIO) -> None:
        """Write every line of `stream` until its end; an endless line is cut into pieces."""
        while line := stream.readline(LONGEST_LINE):
            self.write(line)

    def tail(self, lines: int = 12) -> list[str]:
        """The last lines that were printed, without those that are empty."""
        with self._lock:
            return [line for line in self._last() if line.strip()][-lines:]

    def _last(self) -> list[str]:
        """The last lines, as many as fit into their half of what may be seen."""
        kept: list[str] = []
        room = self._half if self._half is not None else len(self._tail) * 2001
        for line in reversed(self._tail):
            room -= len(line.encode()) + 1
            if room < 0:
                break
            kept.insert(0, line)
        return kept

    def close(self) -> None:
        """End the file, with the last lines if some were left out."""
        with self._lock:
            if self._left_out and not self._file.closed:
                shown = self._last()[-self._left_out :]
                self._file.write(f"... {self._left_out - len(shown)} lines are left out here ...\n")
                self._file.writelines(f"{line}\n" for line in shown)
            self._file.close()
