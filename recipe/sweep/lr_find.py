"""Learning-rate range test: the rate grows exponentially from step to step while the loss is watched.

The steps are those of training itself: the same batches, augmentation, mixing, accumulation, precision and optimizer,
SAM's second pass included. They are taken by a copy of the network that is thrown away; nothing is saved.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from recipe.config import Config
from recipe.data.batch import Batch
from recipe.data.folds import Fold, make_folds
from recipe.sweep.lr_curve import Curve, Suggestion, curve, has_diverged
from recipe.system.atomic import atomic, write_bytes
from recipe.system.timing import choose_runtime
from recipe.training.contender.probe import start_features
from recipe.training.run import Prepared, Run
from recipe.training.step.update import NonFiniteLossError, training_mode
from recipe.training.steps import FoldSteps
from recipe.training.validation import Validation

Step = Callable[[float], float]  # learning rate to the loss before the step


def range_test(step: Step, rates: np.ndarray) -> Curve:
    """Takes a step at each rate until the loss diverges, and returns the curve.

    Args:
        step: moves the weights once at a rate; may raise NonFiniteLossError, which ends the test.
        rates: rising.
    """
    losses: list[float] = []
    for rate in rates:
        try:
            losses.append(step(float(rate)))
        except NonFiniteLossError:
            return curve(rates[: len(losses)], np.array(losses), diverged=True)
        if has_diverged(losses):
            return curve(rates[: len(losses)], np.array(losses), diverged=True)
    return curve(rates, np.array(losses))


class TrialSteps:
    """Steps of a fold's training at rates that are given from outside; saves nothing."""

    def __init__(self, run: Run, fold_index: int, folds: Sequence[Fold] | None = None) -> None:
        folds = folds or make_folds(run.table, run.config.folds, run.config.seed)
        self.training = FoldSteps(run, folds[fold_index])
        config = run.config
        self.training.enter_stage(config.freeze_epochs + 1)
        training_mode(self.training.model, config.freezes_batch_norm)
        self._mixes = config.mix_off_epochs < max(1, config.epochs)
        self._batches, self._taken = self._endless(), 0

    def _endless(self) -> Iterator[Batch]:
        for epoch in itertools.count(1):
            yield from self.training.loader.epoch(epoch)

    def step(self, lr: float) -> float:
        """One step at a rate, times each group's own scale; the loss before it."""
        for group in self.training.stage.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        self._taken += 1
        return self.training.take(next(self._batches), self._taken - 1, mixes=self._mixes)

    def seconds_to_validate(self, pictures: int) -> float:
        """Seconds of a validation, with its moving average, by a timing of some of the fold's pictures."""
        training, rows = self.training, self.training.fold.valid_rows
        some = dataclasses.replace(training.fold, valid_rows=rows[:pictures])
        validation = Validation(training.run, some, training.run.folder, training.runtime)
        begin = time.perf_counter()
        for model, _ in training.candidates():
            validation.probs(model)
        return (time.perf_counter() - begin) * len(rows) / len(some.valid_rows)

    def close(self) -> None:
        """Ends the threads that prepare pictures."""
        self._batches.close()  # type: ignore[attr-defined]


def trial_run(prepared: Prepared, metric: str = "accuracy") -> Run:
    """What training would start from, without a run folder."""
    start = prepared.start
    runtime = choose_runtime(start.config, start.model)
    features = start_features(start, prepared.pictures, runtime)
    return Run(start, prepared.table, prepared.pictures, runtime, Path(), metric, features)


def find(prepared: Prepared, rates: np.ndarray, fold: int = 0, on_step: Callable[[], None] = lambda: None) -> Curve:
    """The curve of a prepared run; its network stays as it is."""
    trial = TrialSteps(trial_run(prepared), fold, prepared.own_folds)

    def step(lr: float) -> float:
        on_step()
        return trial.step(lr)

    try:
        return range_test(step, rates)
    finally:
        trial.close()


def setting_for(rate: float, config: Config) -> float:
    """The `lr` that makes the optimizer's rate `rate`, to two digits: `lr_batch` may scale it by the batch size."""
    return float(f"{rate * config.lr / config.scaled_lr:.1e}")


def write_curve(folder: Path, found: Curve, suggestion: Suggestion | None, title: str) -> Path:
    """lr_find.csv and lr_find.png; returns the picture's path."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["lr", "loss", "smooth_lr", "smooth_loss"])
    columns = (found.rates, found.losses, found.smooth_rates, found.smooth_losses)
    writer.writerows([f"{value:.6g}" for value in row] for row in zip(*columns, strict=True))
    write_bytes(folder / "lr_find.csv", stream.getvalue().encode("utf-8"))
    _picture(folder / "lr_find.png", found, suggestion, title)
    return folder / "lr_find.png"


def _picture(path: Path, found: Curve, suggestion: Suggestion | None, title: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(xscale="log", xlabel="learning rate", ylabel="training loss", title=title)
    top = min(float(found.smooth_losses.max()), 2 * float(np.median(found.smooth_losses)))
    axes.set_ylim(float(found.smooth_losses.min()) - 0.05 * top, 1.05 * top)
    axes.plot(found.rates, found.losses, ".", color="0.7", markersize=3, label="loss of each step")
    axes.plot(found.smooth_rates, found.smooth_losses, color="tab:blue", label="moving average")
    if suggestion is not None:
        axes.axvline(
            suggestion.steepest, color="tab:green", linestyle="--", label=f"steepest: {suggestion.steepest:.1e}"
        )
        axes.axvline(suggestion.tenth, color="tab:red", linestyle=":", label=f"minimum / 10: {suggestion.tenth:.1e}")
    axes.legend()
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
