"""How much of the machine the training loop uses: its pictures per second over those of the bare step, in one run.

    python -m benchmarks.train                    expected on two quiet cores: a share of 0.9 or more
    python -m benchmarks.train --optimizer "sam(adamw())"

The bare step is forward, backward and optimizer step on a batch that lies in memory; the loop adds loading, augmentation, mixing,
normalisation and the checks. Both take the same steps in turns, so that a drift of the machine meets both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from recipe.config import Config
from recipe.data import read_folder
from recipe.fold import FoldTraining
from recipe.fold_state import Position
from recipe.folds import make_folds
from recipe.job import Job
from recipe.malloc import keep_freed_blocks
from recipe.pictures import Pictures
from recipe.plan import plan
from recipe.predict import short_side
from recipe.runtime import choose_runtime


def pictures(folder: Path, count: int) -> None:
    """Noise with structure, 375 x 500 JPEG, two classes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        image = cv2.resize(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8), (500, 375), interpolation=cv2.INTER_CUBIC)
        path = folder / str(number % 2) / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), image)


def training(config: Config, folder: Path) -> FoldTraining:
    """A fold ready to train on pictures that are decoded already."""
    table = read_folder(folder)
    planned = plan(config, 2)
    decoded = Pictures(table.paths, short_side(planned.preprocessing))
    decoded.load_all()
    runtime = choose_runtime(config, planned.model)
    job = Job(
        config,
        table,
        decoded,
        planned.model,
        planned.preprocessing,
        runtime,
        None,
        folder / "run",
        "accuracy",
        lambda *a: None,
        lambda log: None,
    )
    return FoldTraining(job, make_folds(table, config.folds, 0)[0])


def main() -> None:
    """Prints one line per round and the median share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--optimizer", default="adamw()")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    keep_freed_blocks()
    augment = "scale_crop(), erasing(p=0.3), hflip(), shift_scale_rotate(p=0.3), brightness_contrast(p=0.3)"
    config = Config(backbone=arguments.backbone, pretrained=False, image_size=arguments.size, batch_size=arguments.batch, epochs=99, folds=2,
                    optimizer=arguments.optimizer, augment=augment, mix="mixup()")  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        pictures(Path(name), arguments.batch * 20)
        fold = training(config, Path(name))
        print(f"{arguments.backbone} at {arguments.size} px, batch {arguments.batch}, {arguments.optimizer}: {fold.job.runtime}")
        shares = [one_round(fold, number) for number in range(arguments.rounds + 1)][1:]
    print(f"median share of the bare step: {statistics.median(shares):.2f}")


def one_round(fold: FoldTraining, number: int) -> float:
    """Pictures per second of an epoch of the loop over those of as many bare steps."""
    steps = len(fold.loader)
    fold.position = Position()
    begin = time.perf_counter()
    fold._train(number + 1)
    loop = time.perf_counter() - begin
    batch = next(iter(fold.loader.epoch(1)))
    images = fold.job.preprocessing.normalise(batch.images)

    def closure() -> torch.Tensor:
        fold.stage.optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():
            loss = torch.nn.functional.cross_entropy(fold.model(images), batch.labels)
        loss.backward()
        return loss.detach()

    begin = time.perf_counter()
    for _ in range(steps):
        fold.stage.optimizer.step(closure)
    bare = time.perf_counter() - begin
    rate = steps * len(batch)
    print(f"round {number}: bare {rate / bare:.1f} pictures/s, loop {rate / loop:.1f} pictures/s, share {bare / loop:.2f}", flush=True)
    return bare / loop


if __name__ == "__main__":
    main()
