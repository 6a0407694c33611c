"""What a person sees of a run: one bar with the time left, one aligned line per epoch, a closing table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30.0  # of the bar, where the output is a file and every refresh would be a line of its own


class Bar:
    """A progress bar with the time left; in a log file it writes a line now and then instead of redrawing."""

    def __init__(self, total: int, unit: str, description: str = "", shown: bool = True) -> None:
        seconds = 0.2 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES
        columns = None if sys.stderr.isatty() else 100
        self._bar = tqdm(
            total=total, unit=unit, desc=description, mininterval=seconds, ncols=columns, leave=False, disable=not shown
        )

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
        self._bar.bar_format = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<" + tqdm.format_interval(seconds) + "]"

    def advance(self, count: int = 1) -> None:
        """Counts finished units."""
        self._bar.update(count)


def say(text: str = "") -> None:
    """A line on stdout that does not break a bar."""
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


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
