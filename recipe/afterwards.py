"""What follows a finished run: a row in the record, the export, the report.

The run is complete before any of it begins, and stays so whatever happens here: what fails is said in a line. Under a
time limit, what would not be ready in time is left out and can be made later.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from protocol.language import later, tr
from recipe.app import Columns
from recipe.config import Config
from recipe.data.table import Table
from recipe.pictures.cache import Pictures
from recipe.proposal import proposed
from recipe.runs.folder import only_probe
from recipe.system.console import detail, duration, left, say
from recipe.training.clock.limit import TimeLimit

EXPORT_SECONDS = 60.0  # with less under a time limit, nothing is exported: the networks answer as they are
LEAST_REPORT_SECONDS = 10.0  # with less it is not begun
SLOWER = 2  # times as slow may the machine become, and the answers are in time in spite of what can be made later


def after_training(
    folder: Path, config: Config, table: Table | None, pictures: Pictures | None = None, limit: TimeLimit | None = None
) -> None:
    """A row in the record, the export that is asked for and, with the table, report and TensorBoard events."""
    limit = limit or TimeLimit()
    _afterwards(later("record"), folder, lambda: _recorded(folder), detail)
    if config.export != "none":
        _afterwards(later("export"), folder, lambda: _exported(folder, config.export, limit))
    if table is not None:
        _afterwards(later("report"), folder, lambda: _reported(folder, table, pictures, limit))


def say_next(folder: Path, columns: Columns) -> None:
    """What one does with a finished run, as commands; a table to answer has the columns of the one it learned from."""
    answers = proposed(
        "predict", pictures="PICTURES", folder=folder, out="submission.csv", image_column=columns.image,
        label_column=columns.label,
    )  # fmt: skip
    say(tr("next        {answers}   (PICTURES: a folder or a CSV)", answers=answers))


def export_again(folder: Path) -> None:
    """After another way of answering was chosen: the export anew where it is stale, in the format that the settings
    name and in those that lie there.
    """
    from recipe.serving.export import export_run, formats_of

    for fmt in formats_of(folder):
        _afterwards("export", folder, lambda fmt=fmt: export_run(folder, fmt))  # type: ignore[misc]


def _afterwards(name: str, folder: Path, work: Callable[[], str], tell: Callable[[str], None] = say) -> None:
    """What follows a run. The run is finished and kept whatever happens here."""
    try:
        tell(f"{left(tr(name), 11)} {work()}")
    except Exception as error:
        say(
            tr(
                "{name} not written ({kind}: {error}); the run in {folder} is complete",
                name=left(tr(name), 11),
                kind=type(error).__name__,
                error=error,
                folder=folder,
            )
        )


def _exported(folder: Path, fmt: str, limit: TimeLimit) -> str:
    from recipe.serving.export import export_run, folds_of
    from recipe.serving.exported import read_exported

    if _spare(limit) >= EXPORT_SECONDS or all(read_exported(fold.folder) for fold in folds_of(folder)):
        return export_run(folder, fmt)  # which does nothing again
    return tr(
        "left out: {duration} are left; {proposed} writes it later",
        duration=duration(max(0.0, limit.left)),
        proposed=proposed("export", folder=folder),
    )


def _recorded(folder: Path) -> str:
    from recipe.runs.record import FILE, append

    append(folder)
    return tr("one row more in {proposed}", proposed=proposed("runs", records=folder.parent / FILE))


def _reported(folder: Path, table: Table, pictures: Pictures | None, limit: TimeLimit) -> str:
    if only_probe(folder):
        return tr("left out: it is about a trained network, and none was trained; metrics.json has the probe's scores")
    if limit.limited:
        return _reported_in_time(folder, limit)
    from recipe.report.page import write_report

    return _opened(write_report(folder, table, pictures))


def _opened(page: Path) -> str:
    return tr("{page}   (open it in a browser)", page=page)


def _reported_in_time(folder: Path, limit: TimeLimit) -> str:
    """The report by a process of its own, which is ended when the time is."""
    instead = tr("{proposed} writes it later", proposed=proposed("report", folder=folder))
    seconds = _spare(limit)
    if seconds < LEAST_REPORT_SECONDS:
        return tr("left out: {duration} are left; {instead}", duration=duration(max(0.0, limit.left)), instead=instead)
    words, project = (
        [sys.executable, "-m", "recipe", "report", str(folder.resolve())],
        Path(__file__).resolve().parent.parent,
    )
    try:
        done = subprocess.run(words, cwd=project, timeout=seconds, check=False, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return tr("left out: it was not ready in {duration}; {instead}", duration=duration(seconds), instead=instead)
    return (
        _opened(folder / "report.html")
        if done.returncode == 0
        else tr("not written ({stderr}); {instead}", stderr=done.stderr.strip().splitlines()[-1], instead=instead)
    )


def _spare(limit: TimeLimit) -> float:
    """Seconds for what can be made later."""
    return limit.left - SLOWER * limit.kept
