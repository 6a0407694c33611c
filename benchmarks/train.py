"""How much of the machine the training loop uses: its pictures per second over those of the bare step and of peers.

    python -m benchmarks.train                    half an hour on two quiet cores; expected: shares of 0.95 or more
    python -m benchmarks.train --case "ResNet-18 32" --rounds 9
    PEERS/bin/python -m benchmarks.train          with fastai and Lightning beside it (benchmarks/peers.py says how to
    install them)

The bare step is forward, backward and optimizer step on a batch that lies in memory, in the memory format, precision
and threads that the run itself chose; with SAM it is the bare two-pass step. The loop adds loading, the contest's whole
augmentation and mixup (`recipe` in app.yaml), normalisation and the checks. A later epoch finds its pictures decoded;
the first counts from the start of reading the files.

Peers train the same network on the same pictures with AdamW and the lighter augmentation of their defaults, decoding
anew every epoch as they do.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import synthetic, table
from benchmarks.peers import importable
from benchmarks.trial import Trial, contest_config

CASES = {  # backbone, pixels, batch, pictures' height
    "lite0 128": ("tf_efficientnet_lite0", 128, 32, 375),
    "lite0 224": ("tf_efficientnet_lite0", 224, 16, 375),
    "B6 64": ("tf_efficientnet_b6", 64, 16, 375),
    "B6 128": ("tf_efficientnet_b6", 128, 8, 375),
    "ResNet-18 32": ("cifar_resnet18", 32, 128, 32),
}
OPTIMIZERS = {"AdamW": "adamw()", "SAM": "sam(adamw(), rho=0.05)"}


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """Shares of bare, then the peers, then the epochs of a head alone."""
    steps, rounds = (4, 2) if options.quick else (options.steps, options.rounds)
    for case in ["ResNet-18 32"] if options.quick and options.case == list(CASES) else options.case:
        backbone, size, batch, height = CASES[case]
        batch = 8 if options.quick else batch
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            synthetic.write(
                folder, round(batch * steps * 1.25) + 2, height=height, width=height * 4 // 3
            )  # a fifth is held out
            for optimizer, spec in OPTIMIZERS.items():
                trial = Trial(contest_config(backbone, size, batch, spec), folder)
                yield from shares(f"{case}, batch {batch}, {optimizer}", trial, rounds)
                if optimizer == "AdamW" and not options.no_peers:
                    yield from against_peers(
                        f"{case}, batch {batch}", trial, importable(folder, backbone, size, batch), rounds
                    )


def shares(case: str, trial: Trial, rounds: int) -> Iterator[table.Row]:
    """First and later epochs against the bare step."""
    seconds = table.in_turns(trial.candidates(), rounds)
    for epoch in ("first", "later"):
        yield {
            "case": f"{case}, {epoch} epoch",
            "images_per_second": trial.images / statistics.median(seconds[epoch]),
            "bare_images_per_second": trial.images / statistics.median(seconds["bare"]),
            "share_of_bare": table.ratio(seconds["bare"], seconds[epoch]),
            "chosen": str(trial.fold.runtime),
        }


def against_peers(case: str, trial: Trial, peers: dict[str, table.Work], rounds: int) -> Iterator[table.Row]:
    """Every peer against the first and later epochs, in seconds per step, since they hold out other pictures."""
    steps, batch = len(trial.fold.loader), trial.fold.config.batch_size
    seconds = table.in_turns({"later": trial.later_epoch, "first": trial.first_epoch, **peers}, rounds)
    ours = {epoch: [taken / steps for taken in seconds[epoch]] for epoch in ("later", "first")}
    for peer in peers:
        yield {
            "case": case,
            "peer": peer,
            "peer_images_per_second": batch / statistics.median(seconds[peer]),
            "images_per_second": batch / statistics.median(ours["later"]),
            "times_as_fast": table.ratio(seconds[peer], ours["later"]),
            "in_the_first_epoch": table.ratio(seconds[peer], ours["first"]),
        }


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument(
        "--case", nargs="+", choices=list(CASES), default=list(CASES), help="these alone (default: all)"
    )
    parser.add_argument("--steps", type=int, default=16, help="of an epoch (default 16)")
    parser.add_argument("--rounds", type=int, default=5, help="per case (default 5)")
    parser.add_argument("--no-peers", action="store_true", help="the bare step alone")


if __name__ == "__main__":
    table.main(measure, add_flags)
