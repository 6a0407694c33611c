"""Logs and reports of runs: a file per attempt, grown by pieces that name where they begin."""

from __future__ import annotations

from pathlib import Path

from flyai_site.models import Run, Worker
from flyai_site.queue import place_log
from flyai_site.storage import folder

__all__ = ["MAX_BYTES", "add", "last", "path", "piece", "report"]

MAX_BYTES = 8 * 2**20
SHOWN_BYTES = 16 * 2**10


def path(run: Run) -> Path:
    """The log of a run's newest attempt."""
    return folder("logs") / f"{run.pk}-{run.attempt}.log"


def report(run: Run) -> Path:
    """The report that a run left."""
    return folder("reports") / f"{run.pk}-{run.attempt}.html"


def add(run: Run, worker: Worker, start: int, data: bytes) -> int:
    """Add a piece that begins at byte `start`; returns the length of the log. A piece that is there already is not
    added twice; what passes the limit is left out.

    Raises:
        LateError: the worker no longer holds the run.
    """
    data = data[: max(0, MAX_BYTES - start)]
    if start != run.log_bytes or not data:
        place_log(run.pk, run.attempt, worker, run.log_bytes, run.log_bytes)
        return int(run.log_bytes)
    place_log(run.pk, run.attempt, worker, start, start + len(data))
    with path(run).open("r+b" if path(run).exists() else "w+b") as file:
        file.seek(start)
        file.truncate()
        file.write(data)
    return start + len(data)


def piece(run: Run, start: int) -> bytes:
    """What the log holds from byte `start` on, at most 64 kB."""
    try:
        with path(run).open("rb") as file:
            file.seek(max(0, start))
            return file.read(2**16)
    except FileNotFoundError:
        return b""


def last(run: Run) -> str:
    """The end of the log, as text, from the beginning of a line."""
    start = max(0, run.log_bytes - SHOWN_BYTES)
    text = piece(run, start).decode("utf-8", errors="replace")
    return text.partition("\n")[2] if start else text
