"""Batches for training: order and seeds decided beforehand, pictures prepared by background threads.

Threads, not processes: OpenCV and NumPy release the interpreter lock, nothing is copied between processes, and on two cores one thread
beats two worker processes (docs/performance.md). What a batch holds depends on the seed, the epoch and the position alone: not
on the number of threads, not on timing, not on whether the run was resumed.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import cv2
import numpy as np
import torch

from recipe.batch import Batch
from recipe.pictures import Pictures, default_workers

__all__ = ["Loader", "Pictures"]

Transform = Callable[[np.ndarray, int], np.ndarray]  # (picture (h, w, 3) uint8, seed) -> (S, S, 3) uint8


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
            weights: (len(rows),) not negative; an epoch then draws len(rows) rows with replacement, in proportion to them.
            drop_last: leave out a last short batch, if there is a full one.
            workers: threads; 0 chooses by the number of cores (`pictures.default_workers`).
            prefetch: batches prepared ahead, beyond one per thread in work.
            pin: put pictures into page-locked memory, from which a GPU copies while it computes.
        """
        self.pictures, self.labels, self.rows = pictures, np.asarray(labels, np.int64), np.asarray(rows, np.int64)
        self.batch_size, self.transform, self.seed, self.shuffle = batch_size, transform, seed, shuffle
        self.weights, self.drop_last = weights, drop_last
        self.workers, self.prefetch, self.pin = workers or default_workers(), prefetch, pin
        if batch_size < 1 or self.workers < 1 or prefetch < 1:
            raise ValueError(f"batch_size={batch_size}, workers={workers} and prefetch={prefetch} must be at least 1 (workers=0 chooses).")
        if not len(self.rows):
            raise ValueError("A loader needs at least one row.")

    def without_pictures(self) -> Loader:
        """The same rows batch by batch, each picture a black pixel that nothing was read for: for a head that learns from kept features."""
        other = copy.copy(self)
        other.pictures, other.transform = [np.zeros((1, 1, 3), np.uint8)] * len(self.labels), lambda image, seed: image
        return other

    def __len__(self) -> int:
        """Batches per epoch."""
        full, short = divmod(len(self.rows), self.batch_size)
        return full + int(short > 0 and not (self.drop_last and full > 0))

    def order(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers and picture seeds of epoch `n`, both (len(rows),) int64: functions of `seed`, `n` and the weights alone."""
        generator = np.random.default_rng([self.seed, n])
        seeds = generator.integers(2**31, size=len(self.rows))
        if self.weights is not None:
            return generator.choice(self.rows, size=len(self.rows), p=self._probabilities()), seeds
        return (generator.permutation(self.rows) if self.shuffle else self.rows), seeds

    def epoch(self, n: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch `n`, in order, from batch number `start` on (nothing before it is decoded).

        Closing the iterator, or an error in it, ends its threads. `images` is (B, 3, H, W) uint8 in channels_last layout.

        Raises:
            Whatever a picture or the transform raises, at the next batch that is asked for, even if it belongs to a later one.
        """
        order, seeds = self.order(n)
        bounds = [(first, first + self.batch_size) for first in range(0, len(order), self.batch_size)][start : len(self)]
        jobs = iter([(order[first:end], seeds[first:end]) for first, end in bounds])
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # parallel over batches already; OpenCV's own threads would take the cores of the update
        pool = ThreadPoolExecutor(self.workers, "loader")
        try:
            yield from self._in_order(pool, jobs)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            cv2.setNumThreads(threads)

    def _in_order(self, pool: ThreadPoolExecutor, jobs: Iterator[tuple[np.ndarray, np.ndarray]]) -> Iterator[Batch]:
        pending: deque[Future[Batch]] = deque()
        for rows, seeds in jobs:
            pending.append(pool.submit(self._batch, rows, seeds))
            if len(pending) >= self.workers + self.prefetch:
                yield _first(pending)
        while pending:
            yield _first(pending)

    def _batch(self, rows: np.ndarray, seeds: np.ndarray) -> Batch:
        prepared = np.stack([self.transform(self.pictures[row], seed) for row, seed in zip(rows.tolist(), seeds.tolist(), strict=True)])
        images, labels = torch.from_numpy(prepared).permute(0, 3, 1, 2), torch.from_numpy(self.labels[rows])
        return Batch(
            images=images.pin_memory() if self.pin else images,
            labels=labels,
            labels_b=labels,
            lam=torch.ones(len(rows)),
            rows=torch.from_numpy(rows.copy()),
        )

    def _probabilities(self) -> np.ndarray:
        weights = np.asarray(self.weights, np.float64)
        if weights.shape != self.rows.shape or not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() == 0:
            raise ValueError(
                f"Sampling weights must be {len(self.rows)} finite numbers, none negative and not all zero (one per row); "
                f"got shape {weights.shape}."
            )
        return weights / weights.sum()


def _first(pending: deque[Future[Batch]]) -> Batch:
    """The oldest batch; but an error in any batch at work comes first, so that it surfaces at once."""
    wait([pending[0]])
    for job in pending:
        if job.done():
            job.result()
    return pending.popleft().result()
