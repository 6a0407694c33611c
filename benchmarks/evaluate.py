"""Evaluation over the bare forward pass, and the epochs of a head alone on features that are kept.

    python -m benchmarks.evaluate             # a few minutes on two cores; expected: a share of 0.95 or more, and under
    2 s an epoch

The bare pass is the network in evaluation mode, without gradients, on a batch that lies in memory, in the memory format
and threads of the run; evaluation takes the crops, normalises, and averages probabilities of decoded pictures. A
head-only epoch trains the head on the features of 2,000 pictures, which are computed once: the backbone is frozen and
no augmentation changes the pictures.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import synthetic, table
from benchmarks.trial import Trial, contest_config
from recipe.system.runtime import evaluating

CASES = {
    "lite0 128": ("tf_efficientnet_lite0", 128),
    "lite0 224": ("tf_efficientnet_lite0", 224),
    "B6 128": ("tf_efficientnet_b6", 128),
}


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """Shares of the bare pass, then the head."""
    pictures, rounds = (64, 2) if options.quick else (options.pictures, options.rounds)
    for case in ["lite0 128"] if options.quick else CASES:
        with tempfile.TemporaryDirectory() as name:
            synthetic.write(Path(name), pictures)
            yield share(case, Trial(contest_config(*CASES[case], batch=32, folds=2), Path(name)), rounds)
    count = 64 if options.quick else 2000
    with tempfile.TemporaryDirectory() as name:
        synthetic.write(Path(name), round(count * 1.25) + 2)
        yield head(Path(name), count, rounds)


def share(case: str, trial: Trial, rounds: int) -> table.Row:
    """The validation rows of a fold against as many pictures in bare passes."""
    fold = trial.fold
    images, count = trial.resident[0], len(fold.fold.valid_rows)

    def bare() -> None:
        with evaluating(fold.model), fold.runtime.autocast():
            for _ in range(count // len(images)):
                fold.model(images)

    seconds = table.in_turns({"bare": bare, "evaluation": lambda: fold.validation.probs(fold.model)}, rounds)
    done = count // len(images) * len(images)
    bare_seconds = [taken * count / done for taken in seconds["bare"]]
    return {
        "case": f"{case}, {count} pictures",
        "images_per_second": count / statistics.median(seconds["evaluation"]),
        "bare_images_per_second": count / statistics.median(bare_seconds),
        "share_of_bare": table.ratio(bare_seconds, seconds["evaluation"]),
        "chosen": str(fold.runtime),
    }


def head(folder: Path, count: int, rounds: int) -> table.Row:
    """Epochs of the head alone."""
    config = contest_config(
        "tf_efficientnet_lite0",
        128,
        32,
        folds=1,
        pretrained=True,
        freeze_epochs=99,
        augment="",
        mix="none()",
        head_init="random",
    )
    trial = Trial(config, folder)
    assert trial.fold.features is not None
    epoch = table.in_turns({"epoch": trial.later_epoch}, rounds)["epoch"]
    features = table.in_turns({"features": lambda: trial.fold.enter_stage(1)}, 1)["features"]
    return {
        "head alone": f"lite0 128, {len(trial.fold.fold.train_rows):,} pictures",
        "features_once_seconds": statistics.median(features),
        "epoch_seconds": statistics.median(epoch),
        "seconds_per_2000": statistics.median(epoch) * 2000 / trial.images,
    }


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--pictures", type=int, default=512, help="half of them are evaluated (default 512)")
    parser.add_argument("--rounds", type=int, default=5)


if __name__ == "__main__":
    table.main(measure, add_flags)
