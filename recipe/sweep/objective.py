"""What a task of a sweep computes: a cross-validation in a folder of its own, as main.py would run it."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from recipe.app import App, Columns, Competition
from recipe.cli import Options
from recipe.config import Config
from recipe.data.reading import read
from recipe.runs.results import EpochLog
from recipe.sweep.file import SweepFile

TIMED_STEPS = 6
TIMED_PICTURES = 32


@dataclass(frozen=True)
class TaskResult:
    """The result of a task."""

    score: float  # over all rows, out of fold
    scores: tuple[float, ...]  # of each fold
    seconds: float
    epochs: int


class TaskObjective(Protocol):
    """What is computed; picklable, so that processes of their own can compute it."""

    def identity(self) -> dict[str, Any]:
        """What results depend on besides settings: they are comparable only where this is equal."""
        ...

    def check(self, config: Config) -> None:
        """Refuses settings that cannot be used, before anything long begins."""
        ...

    def seconds_per_epoch(self, config: Config) -> float:
        """A timing, for all folds together."""
        ...

    def __call__(self, config: Config, folder: Path, on_epoch: Callable[[EpochLog], None]) -> TaskResult:
        """Runs the task in its folder, or goes on with what lies there."""
        ...


@dataclass(frozen=True)
class CrossValidated:
    """Cross-validation on the pictures of a sweep."""

    data: Path
    columns: Columns
    metric: str
    keep_weights: bool = False

    def identity(self) -> dict[str, Any]:
        """The fingerprint of the table, and the metric."""
        table = read(
            self.data,
            self.columns.image,
            self.columns.label,
            group_column=self.columns.group or None,
            encoding=self.columns.encoding,
        )
        return {
            "fingerprint": table.fingerprint,
            "pictures": len(table),
            "classes": len(table.classes),
            "metric": self.metric,
        }

    def check(self, config: Config) -> None:
        """Every component and the metric."""
        from recipe.components.families import check_components
        from recipe.components.metrics import METRICS

        check_components(config)
        METRICS[self.metric]

    def __call__(self, config: Config, folder: Path, on_epoch: Callable[[EpochLog], None]) -> TaskResult:
        """The out-of-fold score; what is printed goes to log.txt in the folder."""
        from recipe.train import RunOptions, cross_validate

        resume = (folder / "run.json").exists()
        with output_to(folder / "log.txt"):
            prepared = self._prepared(config)
            result = cross_validate(
                prepared, folder, RunOptions(self.metric, resume=resume, anyway=True, on_epoch=on_epoch)
            )
        if not self.keep_weights:
            drop_weights(folder)
        return TaskResult(result.oof_score, result.scores, sum(fold.seconds for fold in result.folds), config.epochs)

    def seconds_per_epoch(self, config: Config) -> float:
        """Some steps of training and some pictures of validation, timed and multiplied."""
        from recipe.sweep.lr_find import TrialSteps, trial_run

        trial = TrialSteps(trial_run(self._prepared(config), self.metric), 0)
        try:
            trial.step(1e-8)
            begin = time.perf_counter()
            for _ in range(TIMED_STEPS):
                trial.step(1e-8)
            train = (time.perf_counter() - begin) / TIMED_STEPS * len(trial.training.loader)
            return config.folds * (train + trial.seconds_to_validate(TIMED_PICTURES))
        finally:
            trial.close()

    def _prepared(self, config: Config):  # type: ignore[no-untyped-def]
        from recipe.prepare import prepare

        competition = Competition(id=self.data.name, columns=self.columns, metric=self.metric)
        return prepare(Options(App(competition=competition), config, "", "row of a sweep"), self.data)


def objective_of(sweep: SweepFile) -> CrossValidated:
    """The objective that a sweep's file describes."""
    return CrossValidated(Path(sweep.data), sweep.columns, sweep.metric, sweep.keep == "weights")


def drop_weights(folder: Path) -> None:
    """Removes weights and resume states of a finished run; predictions, scores and curves stay."""
    for fold in folder.glob("fold*"):
        for part in ("last", "snapshots"):
            shutil.rmtree(fold / part, ignore_errors=True)
        for path in fold.glob("*.safetensors"):
            path.unlink()


@contextlib.contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Whatever is printed goes to the end of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(path, "a", encoding="utf-8") as stream,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        yield
