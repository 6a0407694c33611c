"""What each augmentation costs: milliseconds per picture and as a share of decoding that picture, all in one run on one core.

    python -m benchmarks.augment                       # a drawn 500 x 375 JPEG, network size 224
    python -m benchmarks.augment --image cat.jpg --size 128

A component is applied always (p=1) to a picture of the network's size, a cropping one to the cached picture it would get in
training (short side size / 0.875). The last rows are whole pipelines with the usual probabilities. Compare ratios, not
milliseconds: machines differ, and so does one machine from hour to hour.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from recipe import decode
from recipe.augment import AUGMENTATIONS, Augment
from recipe.augment_views import AugmentViews

CONTEST = (
    "scale_crop(), erasing(p=0.5), hflip(), vflip(), shift_scale_rotate(p=0.5), brightness_contrast(p=0.5), "
    "one_of(gauss_noise(), clahe(), jpeg_compression(), gamma(), posterize(), blur(), p=0.5)"
)
PIPELINES = {
    "contest list": CONTEST,
    "crop and flip": "random_resized_crop(), hflip()",
    "CIFAR ladder": "random_crop(), hflip(), autoaugment('cifar10'), erasing()",
}


def drawn_picture(height: int, width: int) -> np.ndarray:
    """Soft shapes with some grain, (height, width, 3) uint8: a JPEG of it is about as large as a photograph's."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    soft = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return (soft + rng.normal(0, 6, soft.shape)).clip(0, 255).astype(np.uint8)


def milliseconds(task: Callable[[int], object], repeats: int) -> float:
    """Median over five rounds of the mean processor time of one call; the argument is a fresh seed.

    Processor time of this thread, since a busy machine stretches the time on the clock.
    """
    task(0)
    rounds = []
    for start in range(0, 5 * repeats, repeats):
        began = time.thread_time()
        for seed in range(start, start + repeats):
            task(seed)
        rounds.append((time.thread_time() - began) / repeats * 1000)
    return statistics.median(rounds)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--image", type=Path, help="a picture file (default: a drawn JPEG of 500 x 375)")
    parser.add_argument("--size", type=int, default=224, help="the network's input, pixels")
    parser.add_argument("--repeats", type=int, default=60, help="calls per round; five rounds")
    settings = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = settings.image or Path(folder) / "picture.jpg"
        if settings.image is None:
            path.write_bytes(cv2.imencode(".jpg", drawn_picture(375, 500), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
        costs = {name: milliseconds(task, settings.repeats) for name, task in tasks(path, settings.size).items()}
    print(f"{'':22}{'ms':>8}{'of decode':>12}")
    for name, cost in costs.items():
        print(f"{name:22}{cost:8.3f}{cost / costs['decode']:12.2f}")


if __name__ == "__main__":
    main()
