"""Weights & Biases: a run, a line per fold over its own epochs, the scores as summary."""

from __future__ import annotations

from recipe.runs.results import EpochLog
from recipe.runs.trackers.told import Told, numbers_of, package


class Run:
    """One run; the package's own variables (WANDB_MODE, WANDB_DIR) hold."""

    def __init__(self, told: Told, project: str) -> None:
        wandb = package("wandb")  # by name: no package of the platform
        self.run = wandb.init(project=project, name=told.name, config=told.settings, dir=str(told.folder))
        self.folds: set[int] = set()

    def epoch(self, log: EpochLog) -> None:
        """Each fold counts its own epochs."""
        step = f"fold{log.fold}/epoch"
        if log.fold not in self.folds:
            self.folds.add(log.fold)
            self.run.define_metric(f"fold{log.fold}/*", step_metric=step)
        self.run.log(numbers_of(log) | {step: log.epoch})

    def close(self, totals: dict[str, float]) -> str:
        """The scores, and the address."""
        self.run.summary.update(totals)
        where = self.run.url or f"wandb sync {self.run.dir}"
        self.run.finish()
        return str(where)
