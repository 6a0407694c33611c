"""Background threads that can be given up: jobs in order, each counting how far it is.

A read from a drive that no longer answers cannot be interrupted, and threads of `concurrent.futures` keep the
interpreter from ending until it returns. These are daemons: one that hangs is noticed, left behind, and ends with the
process.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from itertools import islice
from typing import Generic, TypeVar

# seconds for one item: the largest picture decodes in a few, a sleeping disk wakes within 20, a network drive asks
# again by then
PATIENCE = 60.0
# in that time, so that a process that was stopped for a while (SIGSTOP, a suspended machine) is not taken for one that
# hangs
LOOKS = 6

Item = TypeVar("Item")
Result = TypeVar("Result")


class Hung(Exception):  # noqa: N818  (says what it is)
    """An item has taken longer than `PATIENCE`; `at` is its number in the job."""

    def __init__(self, at: int) -> None:
        super().__init__(f"item {at} takes longer than {PATIENCE:g} s")
        self.at = at


class Task(Generic[Item, Result]):
    """Some work on some items; `at` is the item that it is at."""

    def __init__(self, work: Callable[[Iterator[Item]], Result], items: Sequence[Item]) -> None:
        self.work, self.items, self.at = work, items, 0
        self.future: Future[Result] = Future()

    def do(self) -> None:
        """Works, in a thread; what the work raises is kept for whoever asks for the result."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.work(self._counted()))
        except BaseException as error:
            self.future.set_exception(error)

    def watch(self) -> None:
        """Returns when the job is done, well or not.

        Raises:
            Hung: it has stayed at one item for `PATIENCE` seconds, or its thread is dead.
        """
        looks, at = 0, self.at
        while wait([self.future], timeout=PATIENCE / LOOKS).not_done:
            looks, at = (looks + 1 if self.at == at else 1), self.at
            if looks == LOOKS:
                raise Hung(at)

    def _counted(self) -> Iterator[Item]:
        for self.at, item in enumerate(self.items):  # noqa: B020  (read by the thread that watches)
            yield item


class Threads:
    """Threads that take jobs in the order in which they were given."""

    def __init__(self, count: int, name: str) -> None:
        self._jobs: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}_{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def give(self, job: Task[Item, Result]) -> Task[Item, Result]:
        """The job, which a thread will do."""
        self._jobs.put(job)
        return job

    def end(self, hangs: bool = False) -> None:
        """Drops the jobs that wait and ends the threads; one that hangs is not waited for."""
        with contextlib.suppress(queue.Empty):
            while (job := self._jobs.get_nowait()) is not None:
                job.future.cancel()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(0 if hangs else PATIENCE)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.do()


AHEAD = 8  # items given to each thread beforehand


def each(
    work: Callable[[Item], Result], items: Sequence[Item], threads: int, name: str
) -> Iterator[tuple[Item, Result | Hung]]:
    """Every item with its result, in order; a result that does not come is `Hung`: new ones go on in other threads.

    Closing the iterator, or an error in it, ends the threads. Limit: one thread and no hanging item is `map`.

    Raises:
        Whatever the work raises.
    """
    workers, left = Threads(threads, name), iter(items)
    pending = deque((item, workers.give(_single(work, item))) for item in islice(left, AHEAD * threads))
    try:
        while pending:
            item, job = pending.popleft()
            try:
                job.watch()
                yield item, job.future.result()
            except Hung as hung:
                workers.end(hangs=True)
                workers = Threads(threads, name)
                pending = deque(
                    (other, workers.give(_single(work, other)) if job.future.cancelled() else job)
                    for other, job in pending
                )
                yield item, hung
            pending.extend((item, workers.give(_single(work, item))) for item in islice(left, 1))
    finally:
        workers.end()


def _single(work: Callable[[Item], Result], item: Item) -> Task[Item, Result]:
    return Task(lambda one: work(next(one)), [item])
