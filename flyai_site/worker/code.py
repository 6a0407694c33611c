"""Runs a submission's code by flyai_local's runner, always isolated, and tells the site while it goes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from flyai_local.box import limits
from flyai_local.home import runs_folder
from flyai_local.run.job import Job, Result
from flyai_local.run.progress import Progress
from flyai_local.run.runner import execute
from flyai_local.states import Code, State
from flyai_site.worker.data import Data
from flyai_site.worker.held import Held

__all__ = ["execute_code", "report_of"]

LARGEST_REPORT = 5 * 2**20
HIDDEN_PHASE = "evaluate"  # its lines may tell of the hidden pictures, so the site never gets them
LOG_MB = 8.0


class Told(Progress):
    """The runner's progress, told to the site: the platform's lines, and the submission's behind a mark."""

    def __init__(self, held: Held) -> None:
        super().__init__()
        self._held = held

    def step(self, text: str) -> None:
        """A line of the platform."""
        self._held.say(f"[{self._seconds()}] {text}")

    def line(self, phase: str, text: str) -> None:
        """A line of the submission."""
        if phase != HIDDEN_PHASE:
            self._held.say(f"[{self._seconds()}] {phase} | {text}")


class SiteBook:
    """The runner's book: the number is the site's, the states go there, and the end is told by the worker."""

    def __init__(self, number: int, held: Held) -> None:
        self._number, self._held = number, held

    def start_run(self, *_: object) -> int:
        """The site's number."""
        return self._number

    @contextmanager
    def turn(self, *_: object) -> Iterator[None]:
        """The site has given the turn already."""
        yield

    def set_state(self, run_id: int, state: State, code: Code | None = None, detail: str = "") -> None:
        """Tell the state."""
        if not state.ended:
            self._held.state(state.value)

    def add_log(self, run_id: int, phase: str, path: Path) -> None:
        """Logs are told line by line."""

    def finish(self, *_: object, **__: Any) -> None:
        """The worker tells the end, with the score's public part."""


def execute_code(archive: Path, data: Data, task: Mapping[str, Any], held: Held) -> Result:
    """Run the archive to its end. Its folder is removed by the caller.

    Raises:
        KeyboardInterrupt: the site has taken the run away, or the worker is told to stop.
    """
    shutil.rmtree(runs_folder() / str(task["run"]), ignore_errors=True)  # of a former attempt here
    memory_mb = float(task["memory_mb"])
    job = Job(
        submission=archive,
        competition=data.card,
        command="train",
        epochs=int(task["epochs"]),
        batch=int(task["batch"]),
        isolated=True,
        train_limits=replace(limits.TRAIN, memory_mb=memory_mb, log_mb=LOG_MB),
        evaluate_limits=replace(limits.EVALUATE, memory_mb=memory_mb, log_mb=LOG_MB),
        minutes=float(task["minutes"]),
        told_minutes=float(task["minutes"]),
    )
    return execute(job, Told(held), SiteBook(int(task["run"]), held))


def report_of(project: Path) -> bytes | None:
    """The report.html that training left below data/output, if it is one file of at most 5 MB."""
    folder = project.resolve() / "data" / "output"
    with contextlib.suppress(OSError):
        if folder.resolve() != folder:  # a link on the way may lead to another run's, or anywhere
            return None
        for file in sorted(folder.rglob("report.html")):
            inside = file.resolve().is_relative_to(folder)
            if inside and not file.is_symlink() and file.is_file() and file.stat().st_size <= LARGEST_REPORT:
                return file.read_bytes()
    return None
