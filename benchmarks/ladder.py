"""The CIFAR-100 ladder: every file of examples/cifar100 started here, twenty steps of its own update each.

    python -m benchmarks.ladder --data FOLDER               # a folder with CIFAR-100's train.csv or its own files
    python -m benchmarks.ladder                             # random pictures: speed alone

Network, augmentation, loss, optimizer and the beginning of the schedule are those of the file; only the batch is
smaller, and the rate with it (linear scaling), since a wide network does a few pictures a second on a CPU. The loss of
the first and of the last five steps says that it learns; chance is ln(100) = 4.61. The published accuracy is that of
the source after 200 epochs on 50,000 pictures, where one is known; "hours for all" is what those epochs would take
here.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks import table
from recipe.app import read_app
from recipe.components.optimizers import passes_per_step
from recipe.config import Config
from recipe.data.reading import read
from recipe.data.table import Table
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.sweep.lr_find import TrialSteps, trial_run
from recipe.training.run import Prepared

LADDER = table.ROOT / "examples" / "cifar100"
TRAINING_PICTURES = 50_000  # of CIFAR-100


def files() -> list[Path]:
    """The rows of the ladder, in order."""
    return sorted(LADDER.glob("*.yaml"))


def published(file: Path) -> str:
    """The accuracy that a file says was published for it; empty where it knows none."""
    match = re.search(r"^# Published: (0\.\d+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else ""


def small(file: Path, batch_size: int) -> Config:
    """The settings of a row with a smaller batch, and the learning rate scaled to it."""
    whole = read_app(file).config("full", {})
    changes = {
        "batch_size": batch_size,
        "micro_batch": batch_size,
        "lr_batch": whole.batch_size,
        "memory_format": "contiguous",
    }
    return read_app(file).config("full", changes)


def random_table(folder: Path, per_class: int = 5, classes: int = 100) -> Table:
    """A table of random pictures of 32 px, written into the folder."""
    rng = np.random.default_rng(0)
    lines = ["image_path,label"]
    for row in range(per_class * classes):
        cv2.imwrite(str(folder / f"{row:04d}.png"), rng.integers(0, 256, (32, 32, 3), np.uint8))
        lines.append(f"{row:04d}.png,{row % classes}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read(folder)


def steps(config: Config, pictures: Table, count: int) -> tuple[list[float], float]:
    """Losses before each of `count` steps of the schedule, and seconds per step without the first."""
    begun = start(config, len(pictures.classes))
    trial = TrialSteps(
        trial_run(Prepared(begun, pictures, Pictures(pictures.paths, short_side(begun.preprocessing)))), 0
    )
    losses, times = [], []
    try:
        for step in range(count):
            begin = time.perf_counter()
            losses.append(trial.step(trial.training.stage.set_lr(step)))
            times.append(time.perf_counter() - begin)
    finally:
        trial.close()
    return losses, float(np.mean(times[1:] or times))


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row per file."""
    count, batch = (2, 2) if options.quick else (options.steps, options.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        pictures = random_table(Path(folder)) if options.data is None else read(options.data)
        for file in [files()[0], files()[-1]] if options.quick else files():
            config = small(file, batch)
            losses, seconds = steps(config, pictures, count)
            yield {
                "case": file.stem,
                "network": config.backbone,
                "steps": f"{count} of {batch}",
                "loss_of_the_first_5": float(np.mean(losses[:5])),
                "loss_of_the_last_5": float(np.mean(losses[-5:])),
                "images_per_second": batch / seconds,
                "passes": passes_per_step(config.optimizer),
                "hours_for_all": config.epochs * TRAINING_PICTURES * seconds / batch / 3600,
                "published_accuracy": published(file),
            }


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="CIFAR-100; random pictures without it")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=8, help="pictures per step; the files say 128")


if __name__ == "__main__":
    table.main(measure, add_flags)
