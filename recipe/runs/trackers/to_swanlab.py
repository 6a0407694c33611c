"""SwanLab: an experiment, metrics by epoch."""

from __future__ import annotations

from recipe.runs.results import EpochLog
from recipe.runs.trackers.told import Told, numbers_of, package


class Run:
    """One experiment; SWANLAB_MODE (cloud, local, offline, disabled) holds."""

    def __init__(self, told: Told, project: str) -> None:
        swanlab = package("swanlab")  # by name: no package of the platform
        self.swanlab, self.folder = swanlab, told.folder / "swanlab"
        swanlab.init(
            project=project, experiment_name=told.name, config=told.settings, logdir=str(self.folder)
        )  # fmt: skip

    def epoch(self, log: EpochLog) -> None:
        """The epoch is the step of each fold's own lines."""
        self.swanlab.log(numbers_of(log), step=log.epoch)

    def close(self, totals: dict[str, float]) -> str:
        """The scores, and where the experiment is kept."""
        self.swanlab.log({f"total/{name}": value for name, value in totals.items()})
        self.swanlab.finish()
        return str(self.folder)
