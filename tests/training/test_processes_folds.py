"""Whole folds by two processes: one run whatever their number, its files by the first alone, resume with another."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
from processes_lab import Ended, together
from run_lab import FAST, run
from safetensors.torch import load_file

from recipe.config import Config
from recipe.runs.folder import read_oof
from recipe.training.clock.limit import TimeLimit
from recipe.training.fold import FoldTraining

TWO = Config(**{**FAST.model_dump(), "batch_norm": "frozen", "epochs": 2, "batch_size": 5, "clip_grad": 1.0,
                "save_steps": 1, "mix": "either()", "views": "identity(), hflip()"})  # fmt: skip


def folds(world, competition, folder, config=TWO, stop=None, **how):
    """Trains; `stop` is a rank and a number of steps, after which that process gets SIGTERM."""
    if stop is not None:
        _stop(world, *stop)
    _, summary = run(competition, folder, config, **how)
    return [np.asarray(fold.view_probs) for fold in summary.folds], len(list(folder.rglob("*")))


def _stop(world, rank, steps):
    taken, take = [], FoldTraining.take

    def watched(self, *words):
        taken.append(self)
        if len(taken) == steps and world.rank == rank:
            assert callable(signal.getsignal(signal.SIGTERM)), "nobody hears it"
            os.kill(os.getpid(), signal.SIGTERM)
        return take(self, *words)

    FoldTraining.take = watched


def probs_of(folder):
    return read_oof(folder / "oof.csv", ("0", "1", "2")).probs


def assert_close(one, other):
    """The same epochs, scores and answers, but for the last digits of float32."""
    assert np.allclose(probs_of(one), probs_of(other), atol=2e-4, equal_nan=True)
    logs = [[json.loads(line) for line in (each / "log.jsonl").read_text().splitlines()] for each in (one, other)]
    assert [(log["fold"], log["epoch"]) for log in logs[0]] == [(log["fold"], log["epoch"]) for log in logs[1]]
    for left, right in zip(*logs, strict=True):
        assert left["train_loss"] == pytest.approx(right["train_loss"], abs=1e-4)
    for left in sorted(one.rglob("model.safetensors")):
        weights, others = load_file(left), load_file(other / left.relative_to(one))
        assert all(np.allclose(weights[name], others[name], atol=2e-3) for name in weights)


def test_a_run_does_not_depend_on_the_number_of_processes(competition, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    run(competition, one, TWO)
    first, second = together(folds, competition, two)
    assert not isinstance(first, Ended), first
    assert not isinstance(second, Ended), second
    assert all(np.array_equal(left, right) for left, right in zip(first[0], second[0], strict=True))
    assert sorted(path.name for path in one.rglob("*")) == sorted(path.name for path in two.rglob("*"))
    assert_close(one, two)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_run_goes_on_with_another_number_of_processes(competition, tmp_path, rank):
    whole, folder = tmp_path / "whole", tmp_path / "run"
    run(competition, whole, TWO)
    stopped = together(folds, competition, folder, TWO, (rank, 4))
    assert all(isinstance(each, Ended) for each in stopped), stopped
    assert [(each.kind, each.elsewhere) for each in stopped] == [("Stopped", False), ("Stopped", True)]
    states = [path.name for path in sorted(folder.glob("fold0/last/*.safetensors"))]
    assert states[-1] == "epoch0001-step000001.safetensors"  # three batches an epoch: the fourth step is the last
    alone = together(folds, competition, folder, TWO, (0, 4), size=1, resume=True)
    assert alone[0].kind == "Stopped"
    again = together(folds, competition, folder, TWO, resume=True)
    assert not isinstance(again[0], Ended), again[0]
    assert_close(whole, folder)


PROBED = {"backbone": "tf_efficientnet_lite0", "pretrained": True, "epochs": 2, "freeze_epochs": 1, "ema_decay": 0.0,
          "mix": "none()", "augment": ""}  # fmt: skip


@pytest.mark.parametrize("changes", [PROBED, {"sampler": "class_balanced()"}], ids=["probe and stages", "sampler"])
def test_the_probe_kept_features_stages_and_samplers(competition, tmp_path, changes):
    config = Config(**{**TWO.model_dump(), "folds": 1, **changes})
    run(competition, tmp_path / "one", config)
    first, _ = together(folds, competition, tmp_path / "two", config)
    assert not isinstance(first, Ended), first
    assert_close(tmp_path / "one", tmp_path / "two")


def test_one_clock_decides_for_all(competition, tmp_path):
    seen = [0.0]

    def clock():
        seen[0] += 0.1
        return seen[0]

    config = TWO.model_copy(update={"folds": 1, "epochs": 40, "minutes": 1.0, "plan": "fixed"})
    limit = TimeLimit(25.0, 0.0, clock)
    first, second = together(folds, competition, tmp_path / "run", config, limit=limit)
    assert not isinstance(first, Ended), first
    assert not isinstance(second, Ended), second
    logs = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert 0 < len(logs) < 40
    assert json.loads((tmp_path / "run" / "time.json").read_text())["decisions"]


def test_batch_norm_over_processes_on_a_cpu_is_refused_by_one_sentence(competition, tmp_path):
    config = TWO.model_copy(update={"batch_norm": "train"})
    for rank, found in enumerate(together(folds, competition, tmp_path / "run", config)):
        assert (found.kind, found.elsewhere) == ("ConfigError", rank == 1)
        assert "Set --batch-norm frozen" in found.text
