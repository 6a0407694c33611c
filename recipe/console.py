"""What a person sees of a run: one bar with the time left, one aligned line per epoch, a closing table."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

from tqdm import tqdm

from protocol.ending import mute, tell

SECONDS_BETWEEN_LINES = 30.0  # of the bar, where the output is a file and every refresh would be a line of its own


class Bar:
    """A progress bar with the time left; in a log file, whole lines now and then instead."""

    def __init__(self, total: int, unit: str, description: str = "", shown: bool = True) -> None:
        if _redraws():
            self._bar = _kind()(
                total=total, unit=unit, desc=description, mininterval=0.2, leave=False, disable=not shown
            )
        else:
            self._bar = Lines(total, unit, description, shown)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()

    def describe(self, text: str) -> None:
        """The text before the bar."""
        self._bar.set_description(text, refresh=False)

    def expect(self, count: int, seconds: float) -> None:
        """What is left: so many units, which take so long, instead of the bar's own guess."""
        self._bar.total = self._bar.n + count
        if isinstance(self._bar, Lines):
            self._bar.seconds_left = seconds
        else:
            self._bar.bar_format = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<" + tqdm.format_interval(seconds) + "]"

    def advance(self, count: int = 1) -> None:
        """Counts finished units."""
        try:
            self._bar.update(count)
        except OSError:  # the terminal was closed
            mute(2)


class Lines:
    """What a bar would show, as a line every half minute: `fold 0: 120 of 660 steps, 12 min 05 s left`."""

    def __init__(self, total: int, unit: str, description: str, shown: bool) -> None:
        self.total, self.unit, self.text, self.shown = total, unit, description, shown
        self.n = 0
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
            words = f"{self.n} of {self.total} {self.unit}s, {duration(left)} left"
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


def say(text: str = "") -> None:
    """A line on stdout that does not break a bar."""
    if _redraws():
        with contextlib.suppress(OSError):
            tqdm.write(text, file=sys.stdout)
            return
    tell(text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns: the first to the left, the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    aligned: list[Callable[..., str]] = [str.ljust] + [str.rjust] * (len(header) - 1)
    return "\n".join(
        "  ".join(align(cell, width) for align, cell, width in zip(aligned, line, widths, strict=True)).rstrip()
        for line in lines
    )


def duration(seconds: float) -> str:
    """`4 s`, `3 min 05 s`, `2 h 07 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
