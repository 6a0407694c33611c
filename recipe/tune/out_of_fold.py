"""Out-of-fold answers of a finished run under any way of answering, with what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from protocol.language import tr
from recipe.components.metrics import METRICS
from recipe.components.views import View, build_views
from recipe.models.classifier import Classifier
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import at_size, short_side
from recipe.runs.checkpoint import load_checkpoint
from recipe.runs.ensemble import Answering
from recipe.runs.folder import RunFolder, TuneError
from recipe.serving.torch import average_views, for_prediction
from recipe.system.console import Bar
from recipe.system.runtime import Runtime
from recipe.tune.soup import Quality, greedy_soup, ingredients, mean_of_weights


@dataclass(frozen=True, eq=False)
class Answers:
    """What a way of answering says of every row."""

    probs: np.ndarray  # (N,K) float32, rows without a trained fold NaN
    ms: float  # per picture, all folds together, without decoding


class OutOfFold:
    """A run whose folds answer for the rows they were not trained on."""

    def __init__(self, run: RunFolder, paths: Sequence[Path], device: torch.device, bar: Bar | None = None) -> None:
        """`bar` counts pictures, each as often as it is answered."""
        self.run, self.paths, self.bar = run, tuple(paths), bar or Bar(0, "picture", shown=False)
        self.runtime = Runtime(device, memory_format=torch.channels_last)
        self._pictures: Pictures | None = None

    def answers(self, serving: Answering) -> Answers:
        """Every row's probabilities under a way of answering, each from the fold that left it out.

        Raises:
            TuneError: the network does not take the size.
        """
        task = _Task(self, serving)

        def fold_probs(fold: Path, rows: np.ndarray) -> np.ndarray:
            model, _ = load_checkpoint(fold, weights=serving.weights_file)
            return task.probs(for_prediction(model, task.preprocessing.size, self.runtime.device), rows)

        return task.collect(fold_probs)

    def soups(self, serving: Answering) -> tuple[Answers, list[list[Path]]]:
        """Answers of greedy soups mixed on the other half of a fold's rows, and the soups mixed on all of them.

        A soup that is judged on the rows it was chosen by looks better than it is; so each half judges the soup of the
        other.
        """
        task, soups = _Task(self, serving), []

        def fold_probs(fold: Path, rows: np.ndarray) -> np.ndarray:
            pot = _Pot(task, fold, ingredients(fold))
            halves = [rows[np.arange(len(rows)) % 2 == side] for side in (0, 1)]
            probs = np.empty((len(rows), len(self.run.classes)), np.float32)
            for chosen_on, judged_on in (halves, halves[::-1]):
                probs[np.isin(rows, judged_on)] = pot.probs(pot.soup(chosen_on), judged_on)
            soups.append([pot.files[number] for number in pot.soup(rows)])
            return probs

        return task.collect(fold_probs), soups

    def soups_answers(self, serving: Answering, soups: Sequence[Sequence[Path]]) -> Answers:
        """As `answers`, with the mean of some weights in each fold."""
        task, left = _Task(self, serving), list(soups)

        def fold_probs(fold: Path, rows: np.ndarray) -> np.ndarray:
            model, _ = load_checkpoint(fold)
            model.load_state_dict(mean_of_weights(left.pop(0)))
            return task.probs(for_prediction(model, task.preprocessing.size, self.runtime.device), rows)

        return task.collect(fold_probs)

    def pictures(self, side: int) -> Pictures:
        """The pictures at a short side; those of the last one are kept."""
        if self._pictures is None or self._pictures.short_side != side:
            self._pictures = Pictures(self.paths, side)
        return self._pictures

    def decoded(self, rows: np.ndarray, side: int) -> Iterator[np.ndarray]:
        """The pictures of some rows."""
        pictures = self.pictures(side)
        return (pictures[row] for row in rows.tolist())


class _Task:
    """One way of answering, with the seconds it took."""

    def __init__(self, owner: OutOfFold, serving: Answering) -> None:
        self.owner, self.run = owner, owner.run
        self.preprocessing = at_size(self.run.preprocessing, serving.test_size)
        self.views: list[View] = build_views(serving.views or self.run.views, self.preprocessing.size)
        self.seconds = 0.0

    def probs(self, model: torch.nn.Module, rows: np.ndarray) -> np.ndarray:
        """(n,K) of some rows."""
        pictures = list(self.owner.decoded(rows, short_side(self.preprocessing)))
        begin = time.perf_counter()
        try:
            answered = np.stack(
                list(
                    self._counted(average_views([model], pictures, self.views, self.preprocessing, self.owner.runtime))
                )
            )
        except (AssertionError, RuntimeError, ValueError) as error:
            raise TuneError(
                tr(
                    "the network does not take {size} pixels ({error})",
                    size=self.preprocessing.size,
                    error=str(error).splitlines()[0],
                )
            ) from error
        self.seconds += time.perf_counter() - begin
        return answered

    def _counted(self, answers: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for answer in answers:
            self.owner.bar.advance()
            yield answer

    def collect(self, fold_probs: Callable[[Path, np.ndarray], np.ndarray]) -> Answers:
        """All rows together."""
        probs = np.full((len(self.run.labels), len(self.run.classes)), np.nan, np.float32)
        for fold, rows in self.run.folds:
            probs[rows] = fold_probs(fold, rows)
        return Answers(probs, 1000 * self.seconds / len(self.run.rows) * len(self.run.folds))


class _Pot:
    """The weights of one fold, and what their means say of its validation rows."""

    def __init__(self, task: _Task, fold: Path, files: list[Path]) -> None:
        self.task, self.files = task, files
        self.model: Classifier = load_checkpoint(fold, task.owner.runtime.device)[0]
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def probs(self, numbers: tuple[int, ...], rows: np.ndarray) -> np.ndarray:
        """(n,K) of the mean of some weights."""
        self.model.load_state_dict(mean_of_weights([self.files[number] for number in sorted(numbers)]))
        return self.task.probs(self.model, rows)

    def soup(self, rows: np.ndarray) -> tuple[int, ...]:
        """The greedy soup by these rows."""
        metric, labels = self.task.run.metric, self.task.run.labels[rows]
        return greedy_soup(len(self.files), lambda numbers: quality(metric, labels, self.probs(numbers, rows)))


def quality(metric: str, labels: np.ndarray, probs: np.ndarray) -> Quality:
    """The score in its direction, then minus the log loss: larger is better."""
    judge = METRICS[metric]
    sign = 1 if judge.higher_is_better else -1  # type: ignore[attr-defined]
    return sign * float(judge(labels, probs)), -float(METRICS["log_loss"](labels, probs))
