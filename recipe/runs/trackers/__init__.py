"""Who else is told of a run: TensorBoard, Weights & Biases, MLflow, SwanLab, or a tracker of your own by a plugin.

    --trackers "swanlab(project='mushrooms'), tensorboard"

A tracker is a class under `TRACKERS` that is made with what the run is (`Told`), hears of each epoch and of the end. A
package is imported when its tracker is made, at the first epoch; one that fails is said once and ends no run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from protocol.language import tr
from protocol.strict import ConfigError
from recipe.config import Config
from recipe.registry import Registry, parse_many
from recipe.runs.epochs import read_logs
from recipe.runs.results import EpochLog
from recipe.runs.trackers.told import Told
from recipe.system.console import detail, say

TRACKERS = Registry("tracker", accepts="what the run is; hears of epochs and of the end")
TOTALS = ("oof", "mean", "std", "probe_oof")  # of metrics.json


class Tracker(Protocol):
    """Hears how a run goes."""

    def epoch(self, log: EpochLog) -> None:
        """An epoch of a fold is finished."""

    def close(self, totals: dict[str, float]) -> str:
        """The run is finished, with these scores; says where to look."""


@TRACKERS.register
def tensorboard(told: Told, /) -> Tracker:
    """Event files in RUN/tensorboard, with the charts of the report: written at the end, from the files of the run.

    Source: https://www.tensorflow.org/tensorboard.
    """
    from recipe.runs.trackers.to_tensorboard import Events

    return Events(told.folder)


@TRACKERS.register
def wandb(told: Told, /, project: str = "flyai") -> Tracker:
    """Weights & Biases; offline with WANDB_MODE=offline.

    Source: https://docs.wandb.ai.
    """
    from recipe.runs.trackers.to_wandb import Run

    return Run(told, project)


@TRACKERS.register
def mlflow(told: Told, /, project: str = "flyai") -> Tracker:
    """MLflow: a run of the experiment `project`, where MLFLOW_TRACKING_URI says.

    Source: https://mlflow.org/docs.
    """
    from recipe.runs.trackers.to_mlflow import Run

    return Run(told, project)


@TRACKERS.register
def swanlab(told: Told, /, project: str = "flyai") -> Tracker:
    """SwanLab; without the cloud with SWANLAB_MODE=offline or local.

    Source: https://docs.swanlab.cn.
    """
    from recipe.runs.trackers.to_swanlab import Run

    return Run(told, project)


def check_trackers(config: Config) -> None:
    """Every tracker that the settings name, before anything long begins.

    Raises:
        SpecError: an unknown one, or a setting it does not have.
        ConfigError: its package is not installed.
    """
    for spec in parse_many(config.trackers) if config.trackers else ():
        TRACKERS.check(spec)
        if spec.name in ("wandb", "mlflow", "swanlab") and importlib.util.find_spec(spec.name) is None:
            raise ConfigError(
                tr("trackers: {name} is not installed; pip install '.[{name}]' brings it.", name=spec.name)
            )


@dataclass
class Trackers:
    """All trackers of a run, for `on_epoch`; they begin with its first epoch and hear of earlier starts too."""

    told: Told
    specs: str
    running: dict[str, Tracker] | None = field(default=None)

    def __call__(self, log: EpochLog) -> None:
        """An epoch is finished, and stands in log.jsonl."""
        if self.running is None:
            self._begin()
            return
        self._tell([log])

    def close(self, totals: dict[str, Any]) -> None:
        """The run is finished; says where each tracker can be looked at."""
        if self.running is None:
            self._begin()
        known = {name: totals.get(name) for name in TOTALS}
        finite = {name: float(value) for name, value in known.items() if value is not None and np.isfinite(value)}
        for name, tracker in list((self.running or {}).items()):
            try:
                detail(f"{name:<11} {tracker.close(finite)}")
            except Exception as error:
                self._dropped(name, error)

    def _begin(self) -> None:
        self.running = {}
        for spec in parse_many(self.specs) if self.specs else ():
            try:
                self.running[spec.name] = TRACKERS.build(spec, self.told)
            except Exception as error:
                self._dropped(spec.name, error)
        self._tell(read_logs(self.told.folder / "log.jsonl"))

    def _tell(self, logs: Iterable[EpochLog]) -> None:
        for name, tracker in list((self.running or {}).items()):
            try:
                for log in logs:
                    tracker.epoch(log)
            except Exception as error:
                self._dropped(name, error)

    def _dropped(self, name: str, error: Exception) -> None:
        """Whatever breaks in a stranger's package ends no run."""
        (self.running or {}).pop(name, None)
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        said = tr("hears nothing more ({why}); the run in {folder} goes on", why=why, folder=self.told.folder)
        say(f"{name:<11} {said}")
