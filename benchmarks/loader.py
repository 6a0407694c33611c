"""Decoding and feeding: pictures per second of processor time, and as ratios to bare `cv2.imdecode`.

    python -m benchmarks.loader            # about half a minute
    python -m benchmarks.loader --size 128 --transform "hflip()"

Synthetic JPEGs of 500 x 375 pixels on one thread; processor time, since other processes stretch the time on the clock.
Expected at 128 px: the decoder's own checks cost a few per cent of cv2.imdecode, shrinking by area nearly as much as
decoding, and with the cache a loader feeds several times as many pictures as it can decode.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks import synthetic, table
from recipe.pictures import decode
from recipe.pictures.cache import Pictures
from recipe.training.loader import Loader


def transform_of(name: str, size: int) -> Callable[[np.ndarray, int], np.ndarray]:
    """The evaluation crop, or an augmentation pipeline of the project."""
    if name == "none":
        return lambda image, seed: decode.prepare(image, size)
    from recipe.components.augment.pipeline import Augment

    return Augment(name, size)


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """Pictures per second of each way, on one thread."""
    number = 64 if options.quick else options.number
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        ways = candidates(
            synthetic.write(Path(folder), number, classes=1, drawn=number), options.size, options.transform
        )
        seconds = table.in_turns(ways, 2 if options.quick else 5, time.process_time)
    for name, times in seconds.items():
        yield {
            "case": name,
            "pictures": number,
            "images_per_second": number / statistics.median(times),
            "of_imdecode": table.ratio(seconds["cv2.imdecode alone"], times),
        }


def candidates(paths: list[Path], size: int, name: str) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    transform = transform_of(name, size)
    labels = np.zeros(len(paths), np.int64)

    def feed(cache_mb: int) -> Callable[[], object]:
        pictures = Pictures(paths, size, cache_mb)
        pictures.load_all(workers=1)
        return lambda: deque(
            Loader(pictures, labels, np.arange(len(paths)), 32, transform, seed=0, workers=1).epoch(0), maxlen=1
        )

    def each(work: Callable[[Path], object]) -> None:
        for path in paths:  # nothing is kept: fresh memory would cost more than the checks that are measured
            work(path)

    return {
        "cv2.imdecode alone": lambda: each(lambda path: cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)),
        "decode.read": lambda: each(decode.read),
        f"decode.read + short side {size}": lambda: each(lambda path: decode.resize_short(decode.read(path), size)),
        "loader without cache": feed(0),
        "loader with cache": feed(4096),
    }


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--number", type=int, default=512, help="pictures (default 512)")
    parser.add_argument("--size", type=int, default=128, help="pixels of the network's input (default 128)")
    parser.add_argument(
        "--transform", default="none", help='"none" (evaluation crop) or an augmentation pipeline such as "hflip()"'
    )


if __name__ == "__main__":
    table.main(measure, add_flags)
