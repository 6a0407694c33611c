"""Batches on the device for the training step: who prepares them, how fast; on a GPU the copy overlaps a step."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import torch

from protocol.language import counted, later, tr
from recipe.components.augment.pipeline import Augment, AugmentViews
from recipe.components.optimizers import passes_per_step
from recipe.config import Config
from recipe.data.batch import Batch
from recipe.pictures.preprocessing import Preprocessing
from recipe.system.runtime import Runtime

if TYPE_CHECKING:
    from recipe.pictures.cache import Pictures
    from recipe.training.loader import Transform

SAMPLE = 32  # pictures that are prepared to see how fast it goes: a fraction of a second
WAITS = later("it will wait for them")
ENOUGH = 1.5  # times what the network takes: less leaves no room for uneven batches


def transform_of(config: Config, preprocessing: Preprocessing) -> Transform:
    """What makes a network's input from a decoded picture and a seed."""
    augment = AugmentViews if config.consistency else Augment
    return augment(config.augment, config.image_size, preprocessing.crop_pct)


def on_device(batches: Iterator[Batch], device: torch.device) -> Generator[Batch, None, None]:
    """The batches on the device, in order. Closing it closes `batches`.

    On CUDA each is copied on a stream of its own while the network works on the one before it; the copy is asynchronous
    where the loader pinned the memory. Elsewhere nothing runs ahead. This path was written without a GPU at hand.
    """
    with contextlib.closing(batches):  # type: ignore[type-var]
        if device.type != "cuda":
            for batch in batches:
                yield batch.to(device)
            return
        stream, waiting = torch.cuda.Stream(device), None
        for batch in batches:
            with torch.cuda.stream(stream):
                copied = batch.to(device)
            if waiting is not None:
                yield _arrived(waiting, stream, device)
            waiting = copied
        if waiting is not None:
            yield _arrived(waiting, stream, device)


def _arrived(batch: Batch, stream: torch.cuda.Stream, device: torch.device) -> Batch:
    """The batch once its copy is done; the allocator is told that the network's stream uses its memory."""
    current = torch.cuda.current_stream(device)
    current.wait_stream(stream)
    for tensor in batch.tensors().values():
        tensor.record_stream(current)
    return batch


def feeding(config: Config, pictures: Pictures, preprocessing: Preprocessing, runtime: Runtime) -> str:
    """How fast pictures are prepared against how fast the network takes them, with a remedy where it would wait."""
    from recipe.pictures.cache import default_workers

    workers = config.workers or default_workers()
    prepared = workers * _per_second(config, pictures, preprocessing)
    taken = runtime.pictures_per_second / passes_per_step(config.optimizer)
    threads = counted("{count} thread", "{count} threads", workers)
    said = tr(
        "about {prepared:,.0f} pictures/s prepared by {threads}, and the network takes {taken:,.0f}",
        prepared=prepared,
        threads=threads,
        taken=taken,
    )
    remedy = tr("raise --workers, make --augment lighter, or give decoded pictures room with --cache-mb")
    return said if prepared > ENOUGH * taken else f"{said}; {tr(WAITS)}: {remedy}"


def _per_second(config: Config, pictures: Pictures, preprocessing: Preprocessing) -> float:
    """Pictures that one thread prepares in a second, after one that builds the pipeline."""
    transform = transform_of(config, preprocessing)
    transform(pictures[0], 0)
    begin, count = time.perf_counter(), min(SAMPLE, len(pictures))
    for row in range(count):
        transform(pictures[row], row)
    return count / (time.perf_counter() - begin)
