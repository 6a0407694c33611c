"""Looks after tasks until each is done or refused: gives them away, sees who lives, gives what was lost away again.

Everything it knows lies in the folders of the tasks, so it may be killed at any moment and started again: what is done
is taken over, and an attempt that still shows signs of life is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocol.language import later, tr
from recipe.system.console import say
from recipe.system.stopping import graceful_stop
from recipe.training.tasks.spec import AGAIN, DONE, FAILED, SPEC, Attempt, newest
from recipe.training.tasks.transport import Transport

LEASE = 60.0  # seconds without a sign of life, by this machine's own clock, after which an attempt counts as lost
SETTLED = 2.0  # seconds after its process has gone in which the word of its end may still arrive by the shared folder
RETRIES = 3  # after so many losses without anything gained, a task has failed
SAVING = 60.0  # seconds that tasks have to save when the coordinator is stopped
STOPPED, LOST, NEVER = "stopped", "lost", "never"  # what became of an attempt
GIVEN_AGAIN = {
    STOPPED: later("task {task} was stopped and is given away again ({times} of {most})"),
    LOST: later("task {task} was lost and is given away again ({times} of {most})"),
    NEVER: later("task {task} never began and is given away again ({times} of {most})"),
}
GIVEN_UP = {
    STOPPED: later("it was stopped {times} times without getting further: its last output lies in {folder}"),
    LOST: later("it was lost {times} times without getting further: its last output lies in {folder}"),
    NEVER: later("it never began in {times} tries: the machine that takes it does not see {folder}, or cannot start "
                 "Python there; tasks need one folder that all machines share"),
}  # fmt: skip


@dataclass
class Watched:
    """A task in work."""

    folder: Path
    since: float  # the last sign of life
    job: str | None = None  # none for an attempt that an earlier coordinator gave away
    base: int = 0  # the number of the last attempt before this one
    losses: int = 0
    saved: str = ""  # the newest state when it was given away last
    beat: dict[str, Any] = field(default_factory=dict)
    gone: float | None = None  # since when its process is


class Coordinator:
    """Tasks on their way, by one transport."""

    def __init__(
        self,
        transport: Transport,
        done: Callable[[Path, Attempt], None],
        failed: Callable[[Path, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`done` takes the result of a task over; `failed` is told of one that will not be done, and why."""
        self.transport, self.done, self.failed, self.clock = transport, done, failed, clock
        self.active: list[Watched] = []

    def run(self, tasks: Iterator[Path]) -> None:
        """Until every task has ended; those are asked for as there is room for them.

        Raises:
            Stopped: after a signal; what runs was asked to save, and goes on with the same command.
        """
        with graceful_stop() as stop:
            try:
                while self._fill(tasks) or self.active:
                    stop.check()
                    busy = len(self.active)
                    self._look()
                    if len(self.active) == busy:  # else there is room for the next at once
                        time.sleep(self.transport.poll)
            except BaseException:
                self._cancel()
                raise
            finally:
                self.transport.close()

    def _fill(self, tasks: Iterator[Path]) -> bool:
        """Takes what there is room for; whether there was any."""
        found = False
        while len(self.active) < self.transport.slots and (folder := next(tasks, None)) is not None:
            found = True
            self._take(Watched(folder, self.clock()))
        return found

    def _take(self, task: Watched) -> None:
        """A task as it lies there: an attempt without an end may still live."""
        self.active.append(task)
        attempt = newest(task.folder)
        if attempt is None or attempt.end.get("state") == AGAIN:
            self._submit(task)
        else:
            task.base = attempt.number - 1

    def _submit(self, task: Watched) -> None:
        attempt = newest(task.folder)
        task.base = attempt.number if attempt else 0
        task.saved, task.beat, task.gone = saved(task.folder), {}, None
        task.job, task.since = self.transport.submit(task.folder / SPEC), self.clock()

    def _look(self) -> None:
        """One look at everything that runs."""
        gone = self.transport.gone([task.job for task in self.active if task.job is not None])
        for task in list(self.active):
            attempt = newest(task.folder)
            begun = attempt if attempt is not None and attempt.number > task.base else None
            state = begun.end.get("state") if begun else None
            if begun is not None and state == DONE:
                self.active.remove(task)
                self.done(task.folder, begun)
            elif begun is not None and state == FAILED:
                self._fail(task, str(begun.end.get("sentence", "it gives no reason")))
            elif state == AGAIN:
                self._again(task, STOPPED)
            elif self._is_lost(task, begun, task.job in gone):
                self._again(task, LOST if begun else NEVER)

    def _is_lost(self, task: Watched, begun: Attempt | None, gone: bool) -> bool:
        now = self.clock()
        if begun is not None and (beat := begun.beat) != task.beat:
            task.beat, task.since = beat, now
        task.gone = (task.gone or now) if gone else None
        silent = begun is not None and now - task.since > LEASE
        return silent or (task.gone is not None and now - task.gone > SETTLED)

    def _again(self, task: Watched, what: str) -> None:
        """Gives a task away once more; losses count while nothing is gained."""
        task.losses = 1 if saved(task.folder) != task.saved else task.losses + 1
        if task.job is not None:
            self.transport.cancel([task.job])
        if task.losses > RETRIES:
            self._fail(task, tr(GIVEN_UP[what], times=task.losses, folder=task.folder))
            return
        say(tr(GIVEN_AGAIN[what], task=task.folder.name, times=task.losses, most=RETRIES))
        self._submit(task)

    def _fail(self, task: Watched, sentence: str) -> None:
        self.active.remove(task)
        self.failed(task.folder, sentence)

    def _cancel(self) -> None:
        """Asks everything that runs for an end, and waits until it is saved."""
        names = [task.job for task in self.active if task.job is not None]
        self.transport.cancel(names)
        until = time.monotonic() + SAVING
        while names and time.monotonic() < until and self.transport.gone(names) != set(names):
            time.sleep(self.transport.poll)


def saved(folder: Path) -> str:
    """The newest state that any attempt at a task has saved, and how many folds lie finished: what was gained."""
    attempt = newest(folder)
    if attempt is None:
        return ""
    states = sorted(
        path.relative_to(attempt.folder).as_posix() for path in attempt.folder.glob("fold*/last/*.safetensors")
    )
    return f"{len(list(attempt.folder.glob('fold*/result.json')))} {states[-1] if states else ''}"
