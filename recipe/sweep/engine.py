"""Sweeps: the tasks of a file, one after another or in several processes, with a journal that survives anything.

A task is pure: settings to a result, in a folder of its own. Which process runs it is settled by the journal alone.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from protocol.errors import UserError
from protocol.language import tr
from protocol.strict import ConfigError
from recipe.components.metrics import METRICS
from recipe.runs.results import EpochLog
from recipe.sweep.file import SweepFile
from recipe.sweep.journal import SweepJournal, SweepState
from recipe.sweep.objective import TaskObjective, TaskResult
from recipe.sweep.rows import Row, Task, listed_rows, tasks_of
from recipe.sweep.search import ask, hopeless, load_optuna
from recipe.system.console import duration, say
from recipe.system.memory import keep_freed_blocks


class Pruned(Exception):  # noqa: N818  (not an error: the row is hopeless)
    """Ends a row before its last epoch."""


def epochs_of(file: SweepFile, state: SweepState, row: Row) -> int | None:
    """The epochs that an equal time leaves a row; None for those of its settings."""
    return state.epochs.get(row.name) if file.at_equal_time else None


@dataclass
class Sweep:
    """A sweep in its folder."""

    file: SweepFile
    folder: Path
    objective: TaskObjective

    def __post_init__(self) -> None:
        self.journal = SweepJournal(self.folder)
        self.higher_is_better: bool = METRICS[self.file.metric].higher_is_better  # type: ignore[attr-defined]

    def rows(self, state: SweepState) -> list[Row]:
        """Those that are listed, and those that a search has asked for."""
        return listed_rows(self.file) + [Row(line["row"], line["settings"]) for line in state.rows]

    def tasks(self, state: SweepState) -> list[Task]:
        """All seeds of the first row, then of the next, each task once; rows named differently may be the same task."""
        found: dict[str, Task] = {}
        for row in self.rows(state):
            for task in tasks_of(row, self.file, epochs_of(self.file, state, row)):
                found.setdefault(task.key, task)
        return list(found.values())

    def open(self, retry: bool = False) -> None:
        """Checks every row, and that an earlier journal belongs to the same data.

        Raises:
            UserError: a setting that cannot be used, or other data than before.
        """
        if self.file.search == "tpe" or self.file.prune:
            load_optuna()
        for row in listed_rows(self.file):
            self.objective.check(tasks_of(row, self.file)[0].config)
        identity = self.objective.identity()
        with self.journal.lock():
            state = self.journal.read()
            if not state.began:
                self.journal.append("began", name=self.file.name, identity=identity)
            elif state.began["identity"] != identity:
                raise ConfigError(
                    tr(
                        "{folder} holds a sweep on other data or with another metric: {then}, now "
                        "{now}. Choose another name or --out.",
                        folder=self.folder,
                        then=state.began["identity"],
                        now=identity,
                    )
                )
            for key, task in state.tasks.items():
                if retry and task.finished == "failed":
                    self.journal.append("retry", task=key)

    def choose_epochs(self) -> None:
        """For an equal time: times every row once, the first row first, and writes down how many epochs fit."""
        if self.file.at_equal_time is None:
            return
        rows = listed_rows(self.file)
        state = self.journal.read()
        for row in rows:
            if row.name not in state.seconds_per_epoch:
                seconds = self.objective.seconds_per_epoch(tasks_of(row, self.file)[0].config)
                self.journal.write("timed", row=row.name, seconds_per_epoch=seconds)
        state = self.journal.read()
        budget = self._seconds(rows, state)
        for row in rows:
            if row.name not in state.epochs:
                epochs = max(1, round(budget / state.seconds_per_epoch[row.name]))
                self.journal.write("epochs", row=row.name, epochs=epochs, seconds=budget)
                say(
                    tr("{name}: {epochs} epochs in {duration}", name=row.name, epochs=epochs, duration=duration(budget))
                )

    def _seconds(self, rows: list[Row], state: SweepState) -> float:
        assert self.file.at_equal_time is not None  # held by choose_epochs
        if self.file.at_equal_time.seconds:
            return self.file.at_equal_time.seconds
        for row in rows:
            if row.name == self.file.at_equal_time.row:
                return tasks_of(row, self.file)[0].config.epochs * state.seconds_per_epoch[row.name]
        raise ConfigError(
            tr(
                "at_equal_time: there is no row {row!r}; rows: {rows}.",
                row=self.file.at_equal_time.row,
                rows=", ".join(row.name for row in rows),
            )
        )

    def next(self) -> tuple[Task, FileLock] | None:
        """A task that is neither finished nor in work, claimed; None where there is none."""
        with self.journal.lock():
            while True:
                state = self.journal.read()
                for task in self.tasks(state):
                    known = state.tasks.get(task.key)
                    if (known and known.finished) or (lock := self.journal.claim(task.key)) is None:
                        continue
                    self.journal.append("claim", task=task.key, row=task.row.name, seed=task.seed, pid=os.getpid())
                    return task, lock
                if self.file.search != "tpe" or len(state.rows) >= self.file.trials:
                    return None
                row = ask(self.file, state, self.higher_is_better)
                self.objective.check(tasks_of(row, self.file)[0].config)
                self.journal.append("row", row=row.name, settings=row.settings)

    def run(self, task: Task) -> None:
        """Runs a task and writes down how it ended."""
        folder = self.folder / "rows" / task.key
        try:
            outcome = self.objective(task.config, folder, self._reporter(task))
        except Pruned:
            scores = [line["score"] for line in self.journal.read().task(task.key).epochs.values()]
            best = max(scores) if self.higher_is_better else min(scores)
            self.finish("pruned", task, f"stopped after {len(scores)} epochs at {best:.4f}", score=best)
        except Exception as error:  # one row's failure does not end the others
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
            sentence = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            self.finish("failed", task, f"failed: {sentence}", error=sentence)
        else:
            self.finish("done", task, f"{outcome.score:.4f}, {duration(outcome.seconds)}", **_plain(outcome))

    def finish(self, event: str, task: Task, text: str, **fields: Any) -> None:
        with self.journal.lock():
            self.journal.append(event, task=task.key, **fields)
            state = self.journal.read()
        ready = sum(1 for each in self.tasks(state) if (known := state.tasks.get(each.key)) and known.finished)
        total = (self.file.trials if self.file.search == "tpe" else len(listed_rows(self.file))) * len(self.file.seeds)
        say(f"[{ready}/{total}] {task.label}: {text}")

    def _reporter(self, task: Task) -> Callable[[EpochLog], None]:
        """Writes an epoch down, and ends the row where it is hopeless or nobody waits for it any more."""

        def report(log: EpochLog) -> None:
            figures = {"score": log.valid_score, "train_loss": log.train_loss, "valid_loss": log.valid_loss}
            with self.journal.lock():
                self.journal.append("epoch", task=task.key, fold=log.fold, epoch=log.epoch, **figures)
                state = self.journal.read() if self.file.prune else None
            if orphaned():
                raise SystemExit(1)
            if state is not None and hopeless(self.file, state, task.key, task.config.epochs, self.higher_is_better):
                raise Pruned

        return report


def _plain(outcome: TaskResult) -> dict[str, Any]:
    return asdict(outcome) | {"scores": list(outcome.scores)}


def orphaned() -> bool:
    """Whether the process that started this one is gone."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


def work(sweep: Sweep, threads: int = 0) -> None:
    """Takes tasks until there is none left."""
    keep_freed_blocks()
    if threads:
        import torch

        torch.set_num_threads(threads)
    while not orphaned() and (claimed := sweep.next()) is not None:
        task, lock = claimed
        try:
            sweep.run(task)
        finally:
            lock.release()


def worker(sweep: Sweep, threads: int) -> None:
    """`work` as a process of its own: ends without a word on Ctrl-C, which the parent reports."""
    try:
        work(sweep, threads)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def run_sweep(sweep: Sweep, workers: int = 1, threads: int = 0, retry: bool = False) -> None:
    """Runs what is not finished, here or in `workers` processes with `threads` threads each (0 shares the cores).

    Raises:
        UserError: a setting that cannot be used, or a worker that died.
    """
    sweep.open(retry)
    sweep.choose_epochs()
    if workers == 1:
        work(sweep, threads)
        return
    threads = threads or max(1, (os.cpu_count() or 1) // workers)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by the workers when they load their libraries
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=worker, args=(sweep, threads), name=f"worker {number}") for number in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if dead := [process for process in processes if process.exitcode]:
        names = ", ".join(f"{process.name} (exit code {process.exitcode})" for process in dead)
        raise UserError(
            tr(
                "{names} ended early: out of memory, or killed. What was finished is kept; run the same command again.",
                names=names,
            )
        )
