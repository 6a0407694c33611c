"""Speed of decoding and feeding, as ratios within one run, on synthetic JPEGs of 500 x 375 pixels.

    python -m benchmarks.loader            # about 20 seconds, prints a table
    python -m benchmarks.loader --size 128 --transform "none"

Expected at 128 px: the decoder's own checks cost a few per cent of cv2.imdecode, shrinking by area nearly as much as decoding, and with the
cache a loader feeds several times as many pictures as it can decode.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from recipe import decode
from recipe.loader import Loader
from recipe.pictures import Pictures


def synthetic_jpegs(folder: Path, number: int) -> list[Path]:
    """Photograph-like JPEGs: noise at several scales, quality 90, about 60 KB each."""
    generator = np.random.default_rng(0)
    paths = []
    for index in range(number):
        image = np.zeros((375, 500, 3), np.float32)
        for scale, weight in ((8, 90), (40, 50), (160, 20), (375, 10)):
            noise = generator.random((scale, scale * 4 // 3, 3), dtype=np.float32)
            image += weight * cv2.resize(noise, (500, 375), interpolation=cv2.INTER_CUBIC)
        paths.append(folder / f"{index:04d}.jpg")
        paths[-1].write_bytes(cv2.imencode(".jpg", image.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    return paths


def per_second(number: int, work: Callable[[], object]) -> float:
    """Pictures per second of processor time, the best of three runs: other processes on the machine disturb it little."""
    seconds = []
    for _ in range(3):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return number / min(seconds)


def transform_of(name: str, size: int) -> Callable[[np.ndarray, int], np.ndarray]:
    """The evaluation crop, or an augmentation pipeline of the project."""
    if name == "none":
        return lambda image, seed: decode.prepare(image, size)
    from recipe.augment import Augment

    return Augment(name, size)


def measure(paths: list[Path], size: int, name: str) -> dict[str, float]:
    """Pictures per second of each way, on one thread."""
    transform = transform_of(name, size)
    labels = np.zeros(len(paths), np.int64)

    def feed(cache_mb: int) -> Callable[[], object]:
        pictures = Pictures(paths, size, cache_mb)
        pictures.load_all(workers=1)
        return lambda: deque(Loader(pictures, labels, np.arange(len(paths)), 32, transform, seed=0, workers=1).epoch(0), maxlen=1)

    def each(work: Callable[[Path], object]) -> None:
        for path in paths:  # nothing is kept: fresh memory would cost more than the checks that are measured
            work(path)

    ways: dict[str, Callable[[], object]] = {
        "cv2.imdecode alone": lambda: each(lambda path: cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)),
        "decode.read": lambda: each(decode.read),
        f"decode.read + short side {size}": lambda: each(lambda path: decode.resize_short(decode.read(path), size)),
        "loader without cache": feed(0),
        "loader with cache": feed(4096),
    }
    return {name: per_second(len(paths), work) for name, work in ways.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=512, help="pictures (default 512)")
    parser.add_argument("--size", type=int, default=128, help="pixels of the network's input (default 128)")
    parser.add_argument("--transform", default="none", help='"none" (evaluation crop) or an augmentation pipeline such as "hflip()"')
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        speeds = measure(synthetic_jpegs(Path(folder), args.number), args.size, args.transform)
    print(f"{args.number} pictures of 500 x 375, {args.size} px, transform {args.transform}, one thread")
    print(f"{'':32}{'per CPU s':>12}{'of imdecode':>14}")
    for name, speed in speeds.items():
        print(f"{name:32}{speed:12,.0f}{speed / speeds['cv2.imdecode alone']:14.2f}")


if __name__ == "__main__":
    main()
