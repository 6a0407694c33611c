"""Batches for training: order and seeds decided beforehand, pictures prepared by background threads.

Threads, not processes: OpenCV and NumPy release the interpreter lock, nothing is copied between processes, and on two
cores one thread beats two worker processes (docs/performance.md). What a batch holds depends on the seed, the epoch and
the position alone: not on the number of threads, not on timing, not on whether the run was resumed.

A thread that hangs in a read (a network drive, a dying disk) is left behind, and from then on each batch is prepared
when it is asked for, by a thread of its own; a picture that hangs there too ends the run in a sentence with its name.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import cv2
import numpy as np
import torch

from protocol.language import tr
from recipe.data.batch import Batch
from recipe.pictures.cache import Pictures, default_workers
from recipe.pictures.errors import StuckPicture
from recipe.system import threads as background
from recipe.system.console import say
from recipe.system.threads import Hung, Task, Threads

__all__ = ["Loader", "Pictures"]

Transform = Callable[[np.ndarray, int], np.ndarray]  # (picture (h, w, 3) uint8, seed) -> (S, S, 3) uint8

Drawn = tuple[int, int]  # row number, seed
BatchJob = Task[Drawn, Batch]


class Loader:
    """Batches over the rows of one fold, epoch by epoch."""

    def __init__(
        self,
        pictures: Pictures | Sequence[np.ndarray],
        labels: np.ndarray,
        rows: np.ndarray | Sequence[int],
        batch_size: int,
        transform: Transform,
        *,
        seed: int,
        shuffle: bool = True,
        weights: np.ndarray | None = None,
        drop_last: bool = True,
        workers: int = 0,
        prefetch: int = 2,
        pin: bool = False,
        shard: Callable[[int], np.ndarray] | None = None,
    ) -> None:
        """`pictures` and `labels` are those of the whole table, `rows` the row numbers to go through.

        Args:
            pictures: indexed by row number; must stand being read by several threads.
            labels: (N,) of the whole table.
            rows: row numbers, in the order in which an unshuffled epoch visits them.
            batch_size: pictures per batch, at least 1.
            transform: makes the network's input from a picture and a seed; called in several threads.
            seed: of the run and the fold.
            shuffle: a new order every epoch; without it, and without weights, the order of `rows`.
            weights: (len(rows),) not negative; an epoch then draws len(rows) rows with replacement, in proportion to
                them.
            drop_last: leave out a last short batch, if there is a full one.
            workers: threads; 0 chooses by the number of cores (`pictures.default_workers`).
            prefetch: batches prepared ahead, beyond one per thread in work.
            pin: put pictures into page-locked memory, from which a GPU copies while it computes.
            shard: the positions of a batch of so many pictures that are this process's own; by default all of them.
                The others are not decoded, and a batch may hold none.
        """
        self.pictures, self.labels, self.rows = pictures, np.asarray(labels, np.int64), np.asarray(rows, np.int64)
        self.batch_size, self.transform, self.seed, self.shuffle = batch_size, transform, seed, shuffle
        self.weights, self.drop_last = weights, drop_last
        self.workers, self.prefetch, self.pin = workers or default_workers(), prefetch, pin
        self.shard = np.arange if shard is None else shard
        self.ahead = True  # until a thread hangs
        if batch_size < 1 or self.workers < 1 or prefetch < 1:
            raise ValueError(
                f"batch_size={batch_size}, workers={workers} "
                f"and prefetch={prefetch} must be at least 1 (workers=0 chooses)."
            )
        if not len(self.rows):
            raise ValueError("A loader needs at least one row.")

    def without_pictures(self) -> Loader:
        """The same rows batch by batch, unread, each a black pixel: for a head that learns from kept features."""
        other = copy.copy(self)
        other.pictures, other.transform = [np.zeros((1, 1, 3), np.uint8)] * len(self.labels), lambda image, seed: image
        return other

    def __len__(self) -> int:
        """Batches per epoch."""
        full, short = divmod(len(self.rows), self.batch_size)
        return full + int(short > 0 and not (self.drop_last and full > 0))

    def order(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers and picture seeds of epoch `n`, both (len(rows),) int64: by `seed`, `n` and weights alone."""
        generator = np.random.default_rng([self.seed, n])
        seeds = generator.integers(2**31, size=len(self.rows))
        if self.weights is not None:
            return generator.choice(self.rows, size=len(self.rows), p=self._probabilities()), seeds
        return (generator.permutation(self.rows) if self.shuffle else self.rows), seeds

    def epoch(self, n: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch `n`, in order, from batch number `start` on (nothing before it is decoded).

        Closing the iterator, or an error in it, ends its threads. `images` is (B, 3, H, W) uint8 in channels_last
        layout.

        Raises:
            StuckPicture: a picture has hung twice, each time for `background.PATIENCE` seconds.
            Whatever a picture or the transform raises, at the next batch that is asked for, even if it belongs to a
            later one.
        """
        order, seeds = self.order(n)
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # parallel over batches already; OpenCV's own threads would take the cores of the update
        try:
            while self.ahead and start < len(self):
                try:
                    for batch in self._ahead(self._jobs(order, seeds, start)):
                        start += 1
                        yield batch
                except Hung as hung:
                    self._give_up_on_threads(next(self._jobs(order, seeds, start)), hung.at)
            for job in self._jobs(order, seeds, start):
                yield self._alone(job)
        finally:
            cv2.setNumThreads(threads)

    def _jobs(self, order: np.ndarray, seeds: np.ndarray, start: int) -> Iterator[BatchJob]:
        for first in range(start * self.batch_size, min(len(order), len(self) * self.batch_size), self.batch_size):
            part = first + self.shard(min(self.batch_size, len(order) - first))
            yield Task(self._batch, list(zip(order[part].tolist(), seeds[part].tolist(), strict=True)))

    def _ahead(self, jobs: Iterator[BatchJob]) -> Iterator[Batch]:
        """The batches in order, others being prepared meanwhile."""
        threads, hangs = Threads(self.workers, "loader"), False
        pending = deque(threads.give(job) for job in islice(jobs, self.workers + self.prefetch))
        try:
            while pending:
                yield _first(pending)
                pending.extend(threads.give(job) for job in islice(jobs, 1))
        except Hung:
            hangs = True
            raise
        finally:
            threads.end(hangs)

    def _alone(self, job: BatchJob) -> Batch:
        """A batch by a thread of its own, which can be given up like any other."""
        thread, hangs = Threads(1, "loader"), False
        try:
            return _first(deque([thread.give(job)]))
        except Hung as hung:
            hangs = True
            raise StuckPicture(
                tr(
                    "{name} is not ready after {patience:g} s, and no other thread helped: its drive does "
                    "not answer. What was saved is kept; copy the pictures to another drive or take this one "
                    "out of the table, then go on with --resume.",
                    name=self._name(job, hung.at),
                    patience=background.PATIENCE,
                )
            ) from None
        finally:
            thread.end(hangs)

    def _give_up_on_threads(self, job: BatchJob, at: int) -> None:
        self.ahead = False
        say(
            tr(
                "a thread that prepares pictures hangs at {name}, for {patience:g} s; from here on each "
                "batch of {batch_size} pictures is prepared when it is needed, which is slower and "
                "changes no result",
                name=self._name(job, at),
                patience=background.PATIENCE,
                batch_size=self.batch_size,
            )
        )

    def _name(self, job: BatchJob, at: int) -> str:
        row = job.items[at][0]
        paths = getattr(self.pictures, "paths", None)
        return tr("the picture of row {row}", row=row) if paths is None else tr("the picture {paths}", paths=paths[row])

    def _batch(self, drawn: Iterator[Drawn]) -> Batch:
        rows, prepared = [], []
        for row, seed in drawn:
            rows.append(row)
            prepared.append(self.transform(self.pictures[row], seed))
        stacked = np.stack(prepared) if prepared else np.zeros((0, 1, 1, 3), np.uint8)
        images, labels = torch.from_numpy(stacked).permute(0, 3, 1, 2), torch.from_numpy(self.labels[rows])
        return Batch(
            images=images.pin_memory() if self.pin else images,
            labels=labels,
            labels_b=labels,
            lam=torch.ones(len(rows)),
            rows=torch.tensor(rows, dtype=torch.int64),
        )

    def _probabilities(self) -> np.ndarray:
        weights = np.asarray(self.weights, np.float64)
        if (
            weights.shape != self.rows.shape
            or not np.isfinite(weights).all()
            or weights.min() < 0
            or weights.sum() == 0
        ):
            raise ValueError(
                f"Sampling weights must be {len(self.rows)} finite numbers, none negative and not all zero (one "
                "per row); "
                f"got shape {weights.shape}."
            )
        return weights / weights.sum()


def _first(pending: deque[BatchJob]) -> Batch:
    """The oldest batch; but an error in any batch at work comes first, so that it surfaces at once."""
    pending[0].watch()
    for job in pending:
        if job.future.done():
            job.future.result()
    return pending.popleft().future.result()
