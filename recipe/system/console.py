"""What a person sees of a run: one bar with the time left, one aligned line per epoch, a closing table.

`say` is for everybody, `detail` for who asks with --verbose; RUN/run.log keeps both, with the time.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from protocol.ending import mute, tell
from protocol.language import language, tr, translated

SECONDS_BETWEEN_LINES = 30.0  # of the bar, where the output is a file and every refresh would be a line of its own


class Bar:
    """A progress bar with the time left; in a log file, whole lines now and then instead.

    Limit: with a total of 0 nothing is drawn before `expect` says what is left.
    """

    def __init__(self, total: int, unit: str, description: str = "", shown: bool = True) -> None:
        self.total, self.unit, self.text, self.shown = total, unit, description, shown and not DIARY.silent
        self.done = 0  # before anything was drawn
        self._drawn = self._draw() if total else None

    def _draw(self) -> Any:
        if not _redraws():
            return Lines(self.total, self.unit, self.text, self.shown, self.done)
        return _kind()(
            total=self.total, initial=self.done, unit=tr(self.unit), desc=self.text, mininterval=0.2, leave=False,
            disable=not self.shown,
        )  # fmt: skip

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._drawn is not None:
            self._drawn.close()

    def describe(self, text: str) -> None:
        """The text before the bar."""
        self.text = text
        if self._drawn is not None:
            self._drawn.set_description(text, refresh=False)

    def expect(self, count: int, seconds: float) -> None:
        """What is left: so many units, which take so long, instead of the bar's own guess."""
        if self._drawn is None:
            self.total = self.done + count
            self._drawn = self._draw()
        bar = self._drawn
        bar.total = bar.n + count
        if isinstance(bar, Lines):
            bar.seconds_left = seconds
        else:
            bar.bar_format = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<" + tqdm.format_interval(seconds) + "]"

    def advance(self, count: int = 1) -> None:
        """Counts finished units."""
        if self._drawn is None:
            self.done += count
            return
        try:
            self._drawn.update(count)
        except OSError:  # the terminal was closed
            mute(2)


class Lines:
    """What a bar would show, as a line every half minute: `fold 0: 120 of 660 steps, 12 min 05 s left`."""

    def __init__(self, total: int, unit: str, description: str, shown: bool, done: int = 0) -> None:
        self.total, self.unit, self.text, self.shown = total, unit, description, shown
        self.n = done
        self.seconds_left: float | None = None
        self.began = self.last = time.monotonic()

    def set_description(self, text: str, refresh: bool = False) -> None:
        """The text before the figures; `refresh` is tqdm's and says nothing here."""
        self.text = text

    def update(self, count: int) -> None:
        """Counts finished units, and writes where it is time to."""
        self.n += count
        now = time.monotonic()
        if self.shown and now - self.last >= SECONDS_BETWEEN_LINES and 0 < self.n < self.total:
            self.last = now
            left = self.seconds_left
            left = (now - self.began) * (self.total - self.n) / self.n if left is None else left
            words = tr(
                "{n} of {total} {unit}s, {duration} left",
                n=self.n,
                total=self.total,
                unit=tr(self.unit),
                duration=duration(left),
            )
            tell(f"{self.text}: {words}" if self.text else words, error=True)

    def close(self) -> None:
        """Nothing is left on the screen."""


def _notebook() -> bool:
    return "ipykernel" in sys.modules


def _redraws() -> bool:
    """Whether a line that was written can be drawn over: in a terminal and in a notebook, not in a file."""
    return sys.stderr.isatty() or _notebook()


def _kind() -> Any:
    """tqdm for terminals; the one of widgets in a notebook that has them."""
    if _notebook() and importlib.util.find_spec("ipywidgets"):
        from tqdm.notebook import tqdm as widgets

        return widgets
    return tqdm


class Diary:
    """Every line of a run, shown or not, with its time; lines wait until `keep` names their file."""

    def __init__(self) -> None:
        self.details = False  # are shown
        self.silent = False  # nothing is shown
        self.file: Path | None = None
        self.waiting: deque[str] = deque(maxlen=1000)

    def keep(self, file: Path | None) -> None:
        """From now on, and what waits, in this file; None ends it. A file that cannot be written ends nothing."""
        self.file = file
        self._write()

    def add(self, text: str) -> None:
        """One line more, or a text of several."""
        self.waiting.append(f"{time.strftime('%H:%M:%S')}  {text.strip(chr(10))}\n")
        self._write()

    def _write(self) -> None:
        if self.file is None:
            return
        with contextlib.suppress(OSError), self.file.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(self.waiting)
        self.waiting.clear()


DIARY = Diary()


def say(text: str = "") -> None:
    """A line on stdout that does not break a bar."""
    DIARY.add(text)
    if DIARY.silent:
        return
    if _redraws():
        with contextlib.suppress(OSError):
            tqdm.write(text, file=sys.stdout)
            return
    tell(text)


def detail(text: str) -> None:
    """A line for who knows the trade: shown under --verbose, in the run's log always."""
    if DIARY.details:
        say(text)
    else:
        DIARY.add(text)


def width(text: str) -> int:
    """Columns of a terminal that a text takes: two for a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(mark) in "WF" else 1 for mark in text)


def left(text: str, columns: int) -> str:
    """The text, filled up to a number of columns."""
    return text + " " * (columns - width(text))


def right(text: str, columns: int) -> str:
    """The text at the right end of a number of columns."""
    return " " * (columns - width(text)) + text


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns: the first to the left, the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(header))]
    aligned: list[Callable[..., str]] = [left] + [right] * (len(header) - 1)
    return "\n".join(
        "  ".join(align(cell, columns) for align, cell, columns in zip(aligned, line, widths, strict=True)).rstrip()
        for line in lines
    )


def duration(seconds: float, spoken: str = "") -> str:
    """`4 s`, `3 min 05 s`, `2 h 07 min`; in the reader's language, or in the one that is named."""
    spoken = spoken or language()
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return translated("{hours} h {minutes:02d} min", spoken, hours=hours, minutes=minutes)
    if minutes:
        return translated("{minutes} min {rest:02d} s", spoken, minutes=minutes, rest=rest)
    return translated("{rest} s", spoken, rest=rest)
