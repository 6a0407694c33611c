"""The rows of a sweep as tasks on other machines; the journal is written here alone, and stays the truth."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from protocol.language import tr
from protocol.strict import ConfigError
from recipe.app import Competition
from recipe.sweep.engine import Sweep
from recipe.sweep.objective import CrossValidated, drop_weights
from recipe.sweep.rows import Task
from recipe.system.atomic import write_json
from recipe.system.console import duration
from recipe.training.tasks.coordinator import Coordinator
from recipe.training.tasks.folds import say_differences
from recipe.training.tasks.spec import END, Attempt, TaskSpec, attempts, newest, write_spec
from recipe.training.tasks.transport import transport_of

TASKS = "tasks"
FIGURES = (
    "score",
    "scores",
    "seconds",
    "epochs",
    "host",
    "device",
    "precision",
    "micro_batch",
)  # of a result, for the journal


class Elsewhere:
    """A sweep whose rows are given away."""

    def __init__(self, sweep: Sweep, on: str) -> None:
        """`on` names the transport.

        Raises:
            ConfigError: the sweep needs to hear of every epoch, or the transport is unknown.
        """
        if sweep.file.prune is not None:
            raise ConfigError(
                tr("prune ends a row by what other rows do at the same epoch, which tasks elsewhere do not tell: leave "
                   "prune out, or --on.")
            )  # fmt: skip
        self.sweep, self.on = sweep, on
        self.claimed: dict[str, tuple[Task, FileLock]] = {}

    def run(self, retry: bool = False) -> None:
        """Runs what is not finished. Raises as `run_sweep`, and Stopped after a signal."""
        transport = transport_of(self.on)
        self.sweep.open(retry)
        self.sweep.choose_epochs()
        self._tidy()
        try:
            Coordinator(transport, self._done, self._failed).run(self._tasks())
            done = {key: known for key, known in self.sweep.journal.read().tasks.items() if known.finished == "done"}
            say_differences({f"{known.row} ({key})": known.ending for key, known in done.items()})
        finally:
            for _, lock in self.claimed.values():
                lock.release()

    def _tidy(self) -> None:
        """Rows whose coordinator was killed after it had written them down and before it had put their run away."""
        for key, known in self.sweep.journal.read().tasks.items():
            attempt = newest(self.sweep.folder / TASKS / key)
            if known.finished == "done" and attempt is not None:
                self._put_away(key, attempt)

    def _tasks(self) -> Iterator[Path]:
        while (claimed := self.sweep.next()) is not None:
            task = claimed[0]
            self.claimed[task.key] = claimed
            folder = self.sweep.folder.absolute() / TASKS / task.key
            write_spec(folder, self._spec(task))
            yield folder

    def _spec(self, task: Task) -> TaskSpec:
        objective = self.sweep.objective
        assert isinstance(objective, CrossValidated)  # what a sweep's file describes
        competition = Competition(id=objective.data.name, columns=objective.columns, metric=objective.metric)
        data = str(objective.data.absolute())
        return TaskSpec(kind="row", name=task.label, config=task.config, competition=competition, data=data,
                        keep_weights=objective.keep_weights)  # fmt: skip

    def _done(self, folder: Path, attempt: Attempt) -> None:
        """Writes the row down, then moves its run where every row lies."""
        (task, lock), end = self.claimed.pop(folder.name), attempt.end
        figures: dict[str, Any] = {name: end[name] for name in FIGURES if name in end}
        said = f"{end['score']:.4f}, {duration(end['seconds'])}, on {end['host']}"
        self.sweep.finish("done", task, said, **figures)
        self._put_away(task.key, attempt)
        lock.release()

    def _put_away(self, key: str, attempt: Attempt) -> None:
        place, end = self.sweep.folder / "rows" / key, attempt.end
        if not (attempt.folder / "run.json").exists():
            return
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(exist_ok=True)
        attempt.folder.rename(place)
        for other in attempts(self.sweep.folder / TASKS / key):
            shutil.rmtree(other.folder, ignore_errors=True)
        write_json(attempt.folder / END, end)  # its number stays: an earlier attempt that wakes up sees that it is late
        if task_keeps_nothing(self.sweep):
            drop_weights(place)

    def _failed(self, folder: Path, sentence: str) -> None:
        task, lock = self.claimed.pop(folder.name)
        self.sweep.finish("failed", task, f"failed: {sentence}", error=sentence)
        lock.release()


def task_keeps_nothing(sweep: Sweep) -> bool:
    """Whether weights of finished rows are removed."""
    return not getattr(sweep.objective, "keep_weights", False)
