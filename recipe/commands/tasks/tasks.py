"""python -m recipe tasks RUN: the tasks of a run or a sweep: queued, running where, done, failed and why."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from protocol.errors import UserError
from protocol.language import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder of the run or of the sweep."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help=tr("the folder of a run or of a sweep"))


def run(arguments: argparse.Namespace) -> int:
    """Prints the table."""
    from recipe.system.console import say, table

    lines = [_line(path.parent) for path in sorted(arguments.run_folder.glob("tasks/*/spec.json"))]
    if not lines:
        raise UserError(
            tr(
                "{folder} has no tasks: a run or a sweep that was begun with --on has some.",
                folder=arguments.run_folder,
            )
        )
    say(table(["task", "state", "host", "attempt", "heartbeat", "what"], lines))
    return 0


def _line(task: Path) -> list[str]:
    from recipe.system.console import duration
    from recipe.training.tasks.spec import AGAIN, BEAT, newest

    if (attempt := newest(task)) is None:
        return [task.name, "queued", "-", "0", "-", ""]
    end, beat = attempt.end, attempt.beat
    if end and end["state"] != AGAIN:
        what = end.get("sentence") or f"{end.get('score', float('nan')):.4f}"
        return [task.name, end["state"], end.get("host", "?"), str(attempt.number), "-", what]
    age = duration(max(0.0, time.time() - (attempt.folder / BEAT).stat().st_mtime)) if beat else "-"
    state = "stopped" if end else "running"
    return [task.name, state, beat.get("host", "?"), str(attempt.number), age, end.get("sentence", "") if end else ""]
