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
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks import table
from recipe.config import Config, read_app
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


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """One row: the loop against the bare step."""
    keep_freed_blocks()
    size, batch, rounds = (64, 8, 2) if options.quick else (options.size, options.batch, options.rounds)
    recipe = Config.model_validate(read_app(table.ROOT / "app.yaml").recipe)
    config = Config(backbone=options.backbone, pretrained=False, image_size=size, batch_size=batch, epochs=99, folds=2,
                    optimizer=options.optimizer, augment=recipe.augment, mix=recipe.mix)  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        pictures(Path(name), batch * 20)
        fold = training(config, Path(name))
        candidates = {"bare": lambda: bare(fold), "loop": lambda: epoch(fold)}
        seconds = table.in_turns(candidates, rounds)
    images = len(fold.loader) * batch
    yield {
        "case": f"{options.backbone}, {size} px, batch {batch}, {options.optimizer}",
        "images_per_second": images / statistics.median(seconds["loop"]),
        "bare_images_per_second": images / statistics.median(seconds["bare"]),
        "share_of_bare": table.ratio(seconds["bare"], seconds["loop"]),
    }


def epoch(fold: FoldTraining) -> None:
    """The first epoch, from its first step."""
    fold.position = Position()
    fold._train(1)


def bare(fold: FoldTraining) -> None:
    """As many bare steps as an epoch has."""
    batch = next(iter(fold.loader.epoch(1)))
    images = fold.job.preprocessing.normalise(batch.images)

    def closure() -> torch.Tensor:
        fold.stage.optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():
            loss = torch.nn.functional.cross_entropy(fold.model(images), batch.labels)
        loss.backward()
        return loss.detach()

    for _ in range(len(fold.loader)):
        fold.stage.optimizer.step(closure)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--optimizer", default="adamw()")
    parser.add_argument("--rounds", type=int, default=5)


if __name__ == "__main__":
    table.main(measure, add_flags)
