"""The time limit on 30 simulated machines: overruns, answers, accuracy against the best fixed plan of the same time.

    python -m benchmarks.minutes                  expected: no overrun, 30 of 30 answer
    python -m benchmarks.minutes --machines 6

The network is tiny and its training real, on scanned digits of 8 x 8 pixels (400 to train, 450 hidden); the clock is
simulated and moves by what work costs on the machine: six speeds from 0.2 to 3 times, each steady, slowed down 2.5
times half-way, with three sudden stalls of up to a twentieth of the limit, out of memory at the first batch, and with a
first epoch and validations three times as slow as timed.

A run ends when the hidden pictures are predicted. The best fixed plan is the one of folds x epochs that would have been
in time on that very machine and is most accurate on the hidden pictures: known only afterwards, so that it is hard to
beat.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from benchmarks import table
from benchmarks.simulated import Machine, cost
from flyai_local.contest import digits
from protocol.errors import UserError
from recipe.config import Config
from recipe.data.reading import read
from recipe.data.table import Table
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.serving.predict import Ensemble
from recipe.train import RunOptions, cross_validate
from recipe.training.clock.limit import TimeLimit
from recipe.training.run import Prepared

MINUTES = 10.0
SPEEDS = (0.2, 0.35, 0.6, 1.0, 1.7, 3.0)
EPOCHS = (1, 2, 3, 4, 5, 6, 8)  # of the fixed plans
CONFIG = Config(
    backbone="test_resnet",
    pretrained=False,
    image_size=32,
    epochs=8,
    batch_size=16,
    folds=4,
    optimizer="adamw()",
    lr=0.004,
    augment="",
    views="identity()",
    memory_format="contiguous",
    warmup_epochs=0.5,
    workers=1,
)
TRAINED, ROUNDED = 400, 1e-6


def machines() -> Iterator[tuple[str, Machine]]:
    """Name and profile of each; the step takes a second at speed 1."""
    limit, rng = 60 * MINUTES, np.random.default_rng(0)
    for speed in SPEEDS:
        steady = Machine(step=1 / speed, batch=CONFIG.batch_size)
        stalls = tuple(
            (float(when), float(long))
            for when, long in zip(rng.uniform(0.05, 0.95, 3) * limit, rng.uniform(0, 0.05, 3) * limit, strict=True)
        )
        yield f"x{speed} steady", steady
        yield f"x{speed} slows down", replace(steady, slow_after=limit / 2, slow_factor=2.5)
        yield f"x{speed} stalls", replace(steady, stalls=stalls)
        yield f"x{speed} out of memory", replace(steady, memory=CONFIG.batch_size // 2)
        yield f"x{speed} cold, slow validation", replace(steady, cold=3.0, validation=3.0)


class Contest:
    """Digits to train on and digits that are hidden, and what fixed plans make of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        digits.write(folder)
        rows = list(csv.reader((folder / "train.csv").read_text(encoding="utf-8").splitlines()))
        (folder / "train" / "train.csv").write_text(
            "\n".join(map(",".join, rows[: TRAINED + 1])) + "\n", encoding="utf-8"
        )
        hidden = list(csv.reader((folder / "hidden.csv").read_text(encoding="utf-8").splitlines()))[1:]
        self.hidden, self.labels = (
            [folder / "hidden" / name for name, _ in hidden],
            np.array([int(label) for _, label in hidden]),
        )
        self.table: Table = read(folder / "train")

    def train(self, config: Config, run: Path, limit: TimeLimit | None = None) -> str:
        """What the run said; it may also have ended without a finished fold."""
        begun = start(config, 10)
        pictures = Pictures(self.table.paths, short_side(begun.preprocessing))
        with (
            contextlib.redirect_stdout(io.StringIO()) as said,
            contextlib.redirect_stderr(io.StringIO()),
            contextlib.suppress(UserError),
        ):
            cross_validate(Prepared(begun, self.table, pictures), run, RunOptions(limit=limit))
        return said.getvalue()

    def probs(self, run: Path) -> np.ndarray:
        """(N,K) of the hidden pictures, as `Predictor` gives them."""
        return Ensemble(run).probs(self.hidden)

    def accuracy(self, probs: np.ndarray) -> float:
        """On the hidden pictures."""
        return float((probs.argmax(axis=1) == self.labels).mean())

    def fixed(self, epochs: tuple[int, ...]) -> dict[tuple[int, int], float]:
        """Accuracy of every fixed plan (folds, epochs): the first folds of one run."""
        found = {}
        for count in epochs:
            run = self.folder / f"fixed{count}"
            self.train(CONFIG.model_copy(update={"epochs": count}), run)
            answers = []
            for fold in reversed(range(CONFIG.folds)):  # the last is taken away, until one is left
                answers.append((fold + 1, self.probs(run)))
                (run / f"fold{fold}" / "fold.json").unlink()
            found |= {(folds, count): self.accuracy(probs) for folds, probs in answers}
        return found


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row per machine, then the summary."""
    torch.set_num_threads(1)
    chosen = list(machines())
    chosen = chosen[3:5] + chosen[15:16] if options.quick else chosen[:: max(1, len(chosen) // options.machines)]
    with tempfile.TemporaryDirectory() as name:
        contest = Contest(Path(name))
        plans = contest.fixed((2, 4) if options.quick else EPOCHS)
        rows = []
        for number, (kind, machine) in enumerate(chosen):
            rows.append(on_machine(contest, plans, kind, machine, Path(name) / f"run{number}", options.verbose))
            yield rows[-1]
    compared = [row["minus_best_fixed"] for row in rows if row["minus_best_fixed"] is not None]
    yield {
        "machines": len(rows),
        "overruns": sum(row["minutes"] > MINUTES + ROUNDED for row in rows),
        "can_answer": sum(row["accuracy"] is not None for row in rows),
        "mean_accuracy": fmean(row["accuracy"] or 0.0 for row in rows),
        "mean_minus_best_fixed": fmean(compared),
        "worst_minus_best_fixed": min(compared),
    }


def on_machine(
    contest: Contest, plans: dict[tuple[int, int], float], kind: str, machine: Machine, run: Path, verbose: bool
) -> table.Row:
    """Trains within the limit, answers, and looks for the best plan that would have been in time."""
    fresh, hidden = replace(machine), len(contest.hidden)
    config = CONFIG.model_copy(update={"minutes": MINUTES, "hidden_pictures": hidden})
    with machine.running():
        said = contest.train(config, run, TimeLimit(60 * MINUTES, 0.0, machine.clock))
    if verbose:
        print("\n".join(line for line in said.splitlines() if line.startswith("limit")), flush=True)
    answering = list(run.glob("fold*/fold.json"))
    machine.answer(hidden, len(answering), 1)
    accuracy = contest.accuracy(contest.probs(run)) if answering else None
    steps, valid = TRAINED * (CONFIG.folds - 1) // CONFIG.folds // CONFIG.batch_size, TRAINED // CONFIG.folds
    fitting = [shape for shape in plans if cost(fresh, *shape, steps, valid, hidden) <= 60 * MINUTES]
    best = max(fitting, key=lambda shape: plans[shape], default=None)
    ends = {
        past["fold"]: past["end"] / steps
        for past in json.loads((run / "time.json").read_text(encoding="utf-8"))["decisions"]
    }
    return {
        "machine": kind,
        "minutes": machine.now / 60,
        "folds": len(answering),
        "epochs": " / ".join(f"{epochs:.3g}" for epochs in ends.values()),
        "plans": said.count("fit in"),
        "accuracy": accuracy,
        "best_fixed": None if best is None else f"{best[0]}x{best[1]}",
        "its_accuracy": None if best is None else plans[best],
        "minus_best_fixed": None if best is None or accuracy is None else accuracy - plans[best],
    }


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--machines", type=int, default=30, help="only so many of the 30, evenly taken [30]")
    parser.add_argument("--verbose", action="store_true", help="print what each run decided")


if __name__ == "__main__":
    table.main(measure, add_flags)
