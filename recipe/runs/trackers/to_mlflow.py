"""MLflow: a run of an experiment, metrics by epoch, settings as parameters."""

from __future__ import annotations

from recipe.runs.results import EpochLog
from recipe.runs.trackers.told import Told, numbers_of, package

LONGEST = 500  # characters of a parameter


class Run:
    """One run; the server or folder is that of MLFLOW_TRACKING_URI."""

    def __init__(self, told: Told, project: str) -> None:
        self.client = package("mlflow").MlflowClient()  # by name: no package of the platform
        known = self.client.get_experiment_by_name(project)
        experiment = known.experiment_id if known else self.client.create_experiment(project)
        self.run = self.client.create_run(experiment, run_name=told.name)
        for name, value in told.settings.items():
            self.client.log_param(self.number, name, str(value)[:LONGEST])

    @property
    def number(self) -> str:
        """Of the run."""
        return str(self.run.info.run_id)

    def epoch(self, log: EpochLog) -> None:
        """The epoch is the step."""
        for name, value in numbers_of(log).items():
            self.client.log_metric(self.number, name, value, step=log.epoch)

    def close(self, totals: dict[str, float]) -> str:
        """The scores, and where the run is kept."""
        for name, value in totals.items():
            self.client.log_metric(self.number, name, value)
        self.client.set_terminated(self.number)
        return f"run {self.number} in {self.client.tracking_uri}"
