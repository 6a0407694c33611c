"""Who else is told of a run: every tracker hears each epoch once and the scores, and none can end a run.

The packages of Weights & Biases, MLflow and SwanLab are optional: where one is installed it is tried offline, else a
stand-in of the few names that are used takes its place.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from protocol.strict import ConfigError
from recipe.config import Config
from recipe.registry import SpecError
from recipe.runs import trackers
from recipe.runs.epochs import EpochLogFile
from recipe.runs.results import EpochLog
from recipe.runs.trackers import TRACKERS, Told, Trackers, check_trackers

OPTIONAL = ("wandb", "mlflow", "swanlab")
LOGS = [EpochLog(fold, epoch, 0.1, 0.5, 0.4, 0.8 + epoch / 100, False, 9.0, 1.0) for fold in (0, 1) for epoch in (1, 2)]
TOTALS = {"oof": 0.9, "mean": 0.9, "std": 0.0, "probe_oof": None, "views": "identity()"}


def told(folder: Path) -> Told:
    return Told(folder, "Birds", {"epochs": 2, "loss": "ce()"})


def play(folder: Path, specs: str) -> None:
    """A run of two folds, of which an earlier start had finished the first epoch."""
    file = EpochLogFile(folder / "log.jsonl")
    file.add(LOGS[0])
    tracked = Trackers(told(folder), specs)
    for log in LOGS[1:]:
        file.add(log)
        tracked(log)
    tracked.close(TOTALS)


class Heard:
    """A tracker of one's own."""

    all: list = []  # noqa: RUF012  (what the tests look at)

    def __init__(self, told: Told, /, fails: str = "") -> None:
        self.fails = fails
        self._say("begin", told.name)

    def _say(self, what: str, value: object) -> None:
        if what == self.fails:
            raise OSError("no network")
        self.all.append((what, value))

    def epoch(self, log: EpochLog) -> None:
        self._say("epoch", (log.fold, log.epoch))

    def close(self, totals: dict) -> str:
        self._say("close", totals)
        return "nowhere"


@pytest.fixture
def heard(monkeypatch):
    monkeypatch.setitem(TRACKERS._components, "heard", Heard)
    monkeypatch.setattr(Heard, "all", [])
    return Heard.all


def test_each_epoch_is_heard_once_those_of_an_earlier_start_too(tmp_path, heard):
    play(tmp_path, "heard()")
    assert heard[0] == ("begin", f"Birds {tmp_path.name}")
    assert [value for what, value in heard if what == "epoch"] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert heard[-1] == ("close", {"oof": 0.9, "mean": 0.9, "std": 0.0})


@pytest.mark.parametrize("when", ["begin", "epoch", "close"])
def test_a_tracker_that_breaks_is_said_once_and_ends_nothing(tmp_path, heard, capsys, when):
    play(tmp_path, f"heard(fails={when!r})")
    shown = capsys.readouterr().out
    assert shown.count("hears nothing more (OSError: no network)") == 1


def test_a_run_without_epochs_is_told_its_end(tmp_path, heard):
    Trackers(told(tmp_path), "heard()").close(TOTALS)
    assert [what for what, _ in heard] == ["begin", "close"]


def test_names_are_checked_before_anything_long_begins(monkeypatch):
    check_trackers(Config(trackers=""))
    check_trackers(Config(trackers="tensorboard"))
    with pytest.raises(SpecError, match="swanlab"):
        check_trackers(Config(trackers="swanlb"))
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    for name in OPTIONAL:
        with pytest.raises(ConfigError, match=rf"{name} is not installed; pip install '\.\[{name}\]'"):
            check_trackers(Config(trackers=f"{name}(project='x')"))


def test_nothing_is_imported_for_who_does_not_ask():
    code = f"import sys, recipe.train, recipe.serving.predict; print([n for n in {OPTIONAL!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_hooks_tell_what_each_package_takes(tmp_path, monkeypatch):
    """By stand-ins: the names, steps and scores that reach the packages."""
    told_of = {name: MagicMock() for name in OPTIONAL}
    for name, package in told_of.items():
        monkeypatch.setitem(sys.modules, name, package)
    told_of["mlflow"].MlflowClient.return_value.get_experiment_by_name.return_value = None
    play(tmp_path, "wandb(project='p'), mlflow(), swanlab()")

    run = told_of["wandb"].init.return_value
    assert told_of["wandb"].init.call_args.kwargs["config"] == {"epochs": 2, "loss": "ce()"}
    assert [call.args[0]["fold1/epoch"] for call in run.log.call_args_list[2:]] == [1, 2]
    assert run.log.call_args_list[3].args[0]["fold1/score/valid"] == pytest.approx(0.82)
    run.summary.update.assert_called_once_with({"oof": 0.9, "mean": 0.9, "std": 0.0})
    run.finish.assert_called_once()

    client = told_of["mlflow"].MlflowClient.return_value
    assert ("fold0/loss/valid", 0.4) in {call.args[1:] for call in client.log_metric.call_args_list}
    assert {call.args[1] for call in client.log_param.call_args_list} == {"epochs", "loss"}
    client.set_terminated.assert_called_once()

    assert [call.kwargs.get("step") for call in told_of["swanlab"].log.call_args_list] == [1, 2, 1, 2, None]
    told_of["swanlab"].finish.assert_called_once()


@pytest.mark.parametrize("name", OPTIONAL)
def test_the_packages_themselves_take_it_offline(tmp_path, name):
    """In a process of its own, as a run would; the environment of the tests has none of them, see docs/report.md."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is an extra and is not installed here; the stand-in above holds the hook")
    code = f"import sys; sys.path[:0] = {sys.path!r}; from test_trackers import play; from pathlib import Path; "
    code += f"play(Path({str(tmp_path)!r}), {name + '()'!r})"
    variables = {
        "WANDB_MODE": "offline", "WANDB_SILENT": "true", "SWANLAB_MODE": "offline",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "hears nothing more" not in done.stdout
    assert any(file.is_file() and file.name != "log.jsonl" for file in tmp_path.rglob("*"))
