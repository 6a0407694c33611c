"""A fold's validation rows: what a network scores on them, and the checkpoint of the best epoch so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from recipe.components.metrics import METRICS, log_loss
from recipe.components.views import build_views
from recipe.data.folds import Fold
from recipe.runs.checkpoint import Description, save_checkpoint
from recipe.serving.torch import average_views
from recipe.system.runtime import Runtime, evaluating
from recipe.training.clock.limit import TimeIsUpError
from recipe.training.run import Best, Run
from recipe.training.start import class_counts


class Validation:
    """Judges the networks of one fold; chosen by these rows alone, the best is always on the disk."""

    def __init__(self, run: Run, fold: Fold, folder: Path, runtime: Runtime) -> None:
        """`folder` of the fold, `runtime` as it is at each judgement: a fold may change its own."""
        self.run, self.fold, self.folder, self.runtime = run, fold, folder, runtime
        self.labels = run.table.labels[fold.valid_rows]
        self.metric: Any = METRICS[run.metric]
        self.best = Best()
        self.best_probs: np.ndarray | None = (
            None  # (n, K) of the kept epoch; unknown to a resumed fold until it finds a better one
        )

    def judge(self, epoch: int, candidates: Sequence[tuple[nn.Module, bool]]) -> tuple[float, float, bool]:
        """Score and loss of the best of the candidates, offered as the best so far, and whether it is a moving average.

        Args:
            candidates: networks; whether each is a moving average.
        """
        judged = [(self.probs(model), model, average) for model, average in candidates]
        sign = 1 if self.metric.higher_is_better else -1
        probs, model, average = max(judged, key=lambda item: (sign * self.score(item[0]), -self.loss(item[0])))
        self.offer(epoch, probs, model, average)
        return self.score(probs), self.loss(probs), average

    def score(self, probs: np.ndarray) -> float:
        """The run's metric for (n, K) probabilities of the validation rows."""
        return float(self.metric(self.labels, probs))

    def loss(self, probs: np.ndarray) -> float:
        """Their mean negative log likelihood."""
        return log_loss(self.labels, probs)

    def probs(self, model: nn.Module, views: str = "identity()") -> np.ndarray:
        """(n, K) probabilities of a network for the validation rows, the mean over the views.

        Raises:
            Stopped: after a signal.
            TimeIsUpError: no more time is left than answering takes.
        """
        return self.run.world.gathered(lambda: self._part(model, views))

    def _part(self, model: nn.Module, views: str) -> np.ndarray:
        """Those of the rows that are this process's part."""
        listed = build_views(views, self.run.preprocessing.size)
        with evaluating(model):  # once for all passes
            found = list(average_views([model], self._pictures(), listed, self.run.preprocessing, self.runtime))
        return np.stack(found) if found else np.zeros((0, len(self.run.table.classes)), np.float32)

    def _pictures(self) -> Iterator[np.ndarray]:
        for row in self.run.world.part(self.fold.valid_rows):
            self.run.progress.check_own_stop()
            self.run.pacer.check()
            yield self.run.pictures[row]

    def offer(self, epoch: int, probs: np.ndarray, model: nn.Module, average: bool = False) -> None:
        """Keeps a network if it is the best so far, by its probabilities for the validation rows."""
        score, loss = self.score(probs), self.loss(probs)
        if self.run.last_stands or self.best.beaten_by(score, loss, self.metric.higher_is_better):
            self._keep(epoch, model, score, loss, average)
            self.best, self.best_probs = (
                Best(score, loss, epoch),
                probs,
            )  # once it is written: a full disk leaves the earlier best

    def keep_unjudged(self, epoch: int, model: nn.Module) -> None:
        """Keeps a network that there was no time to judge, so that something can answer; its score is unknown."""
        self._keep(epoch, model, None, None, False)

    def _keep(self, epoch: int, model: nn.Module, score: float | None, loss: float | None, average: bool) -> None:
        if not self.run.world.is_first:
            return
        counts = class_counts(self.run, self.fold)
        description = Description(
            self.run.config,
            self.run.table.values,
            tuple((counts / counts.sum()).tolist()),
            self.run.preprocessing,
            self.fold.index,
            epoch,
            score,
            average,
            loss,
        )
        save_checkpoint(self.folder, model.state_dict(), description)

    def out_of_fold(self, model: nn.Module) -> tuple[np.ndarray, np.ndarray]:
        """The kept checkpoint's probabilities, without and with the views of the settings; where the time ends, those
        that it was kept for stand for both.

        Raises:
            TimeIsUpError: and none of this start of the run are known.
        """
        try:
            probs = self.probs(model)
            views = self.run.config.views
            return probs, probs if views == "identity()" else self.probs(model, views)
        except TimeIsUpError:
            if self.best_probs is None:
                raise
            return self.best_probs, self.best_probs
