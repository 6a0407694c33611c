"""A transport whose tasks are forked from the test: the imports are paid once, and a death is a real one."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

from recipe.app import Competition
from recipe.config import Config
from recipe.training.tasks import attempt
from recipe.training.tasks.spec import TaskSpec, write_spec

FORK = multiprocessing.get_context("fork")


class Forked:
    """Tasks in forked processes, which do `work` or the training of the task."""

    poll = 0.02

    def __init__(self, work=None, slots=2):
        self.work, self.slots, self.processes, self.submitted = work, slots, {}, []

    def submit(self, spec):
        process = FORK.Process(target=_child, args=(spec, self.work))
        process.start()
        self.submitted.append(spec.parent.name)
        self.processes[str(process.pid)] = process
        return str(process.pid)

    def gone(self, names):
        return {name for name in names if not self.processes[name].is_alive()}

    def cancel(self, names):
        for name in names:
            self.processes[name].terminate()

    def close(self):
        """Leaves what was paused to the test."""


def _child(spec, work):
    attempt.BEAT_SECONDS = 0.1
    os._exit(attempt.run_task(spec, work))


def task(folder: Path, name: str) -> Path:
    """The folder of a task that asks for nothing in particular."""
    spec = TaskSpec(kind="fold", name=name, config=Config(), competition=Competition(id="Tiny"), data="-", fold=0)
    write_spec(folder / name, spec)
    return folder / name
