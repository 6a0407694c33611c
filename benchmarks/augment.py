"""What each augmentation costs: milliseconds per picture and as a share of decoding that picture.

    python -m benchmarks.augment                       # a drawn 500 x 375 JPEG, network size 224
    python -m benchmarks.augment --image cat.jpg --size 128

Processor time of one core. A component is applied always (p=1) to a picture of the network's size, a cropping one to
the cached picture it would get in training (short side size / 0.875). The last rows are whole pipelines with the usual
probabilities.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from benchmarks import synthetic, table
from recipe.app import read_app
from recipe.components.augment.pipeline import AUGMENTATIONS, Augment, AugmentViews
from recipe.config import Config
from recipe.pictures import decode

CONTEST = str(Config.model_validate(read_app(table.ROOT / "app.yaml").recipe).augment)
PIPELINES = {
    "contest list": CONTEST,
    "crop and flip": "random_resized_crop(), hflip()",
    "CIFAR ladder": "random_crop(), hflip(), autoaugment('cifar10'), erasing()",
}


def repeated(task: Callable[[int], object], repeats: int) -> Callable[[], None]:
    """Calls with fresh seeds, however often it is called itself."""
    seeds = itertools.count()

    def work() -> None:
        for seed in itertools.islice(seeds, repeats):
            task(seed)

    return work


def tasks(path: Path, size: int) -> dict[str, Callable[[int], object]]:
    """What is timed, by name."""
    cached = decode.resize_short(decode.read(path), round(size / 0.875))
    square = decode.prepare(cached, size)
    timed: dict[str, Callable[[int], object]] = {"decode": lambda seed: decode.read(path)}
    timed["evaluation crop"] = lambda seed: decode.prepare(decode.read(path), size, 0.875)
    for name in AUGMENTATIONS:
        augment = Augment(f"{name}(p=1.0)", size)
        timed[name] = lambda seed, augment=augment: augment(cached if augment.crops else square, seed)  # type: ignore[misc]
    for name, text in PIPELINES.items():
        pipeline = Augment(text, size)
        timed[name] = lambda seed, pipeline=pipeline: pipeline(cached, seed)  # type: ignore[misc]
    views = AugmentViews("random_resized_crop(), hflip(), augmix()", size)
    timed["three AugMix views"] = lambda seed: views(cached, seed)
    return timed


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row per component and pipeline."""
    repeats, rounds = (5, 2) if options.quick else (options.repeats, 5)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = options.image or Path(folder) / "picture.jpg"
        if options.image is None:
            path.write_bytes(cv2.imencode(".jpg", synthetic.picture(0), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
        works = {name: repeated(task, repeats) for name, task in tasks(path, options.size).items()}
        seconds = table.in_turns(works, rounds, time.thread_time)
    for name, times in seconds.items():
        yield {
            "case": name,
            "ms": 1000 * statistics.median(times) / repeats,
            "of_decode": table.ratio(times, seconds["decode"]),
        }


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--image", type=Path, help="a picture file (default: a drawn JPEG of 500 x 375)")
    parser.add_argument("--size", type=int, default=224, help="the network's input, pixels")
    parser.add_argument("--repeats", type=int, default=60, help="calls per round; five rounds")


if __name__ == "__main__":
    table.main(measure, add_flags)
