"""Losses that are no numbers, in a real fold: skipped, counted, met by a measure, and at last a stop that names the
pictures.
"""

from __future__ import annotations

import pytest
import torch
from run_lab import FAST, Killed, assert_same, killed_after, run

from recipe.runs.epochs import read_logs
from recipe.system.runtime import Runtime
from recipe.training.step.objective import Objective
from recipe.training.step.recovery import MEASURE, STOP, NumbersError, Recovery
from recipe.training.step.update import NonFiniteLossError

CONFIG = FAST.model_copy(
    update={
        "batch_size": 4,
        "epochs": 4,
        "batch_norm": "train",
        "save_steps": 1,
        "schedule": "constant()",
        "warmup_epochs": 0.0,
    }
)
STEPS = 16  # 4 epochs of 4 steps


def poison(monkeypatch, bad):
    """The loss of these steps, counted from 0, is not a number."""
    call = Objective.__call__

    def poisoned(self, forward, batch):
        loss = call(self, forward, batch)
        return loss * float("nan") if round(self.progress * STEPS) in bad else loss

    monkeypatch.setattr(Objective, "__call__", poisoned)


def test_a_bad_step_is_passed_over_and_three_in_a_row_halve_the_rate(competition, tmp_path, monkeypatch, capsys):
    poison(monkeypatch, {2, 5, 6, 7})
    logs = []
    run(competition, tmp_path / "run", CONFIG, only_fold=0, on_epoch=logs.append)
    said = capsys.readouterr().out
    assert "step 3: the loss is nan: the step is skipped, 1 in all" in said
    assert "step 8: the loss is nan: the step is skipped, 4 in all; from here on at 0.5 of the learning rate" in said
    assert [log.lr for log in logs] == pytest.approx([0.01, 0.01, 0.005, 0.005])
    assert all(log.train_loss == log.train_loss for log in logs)


def test_a_run_of_low_precision_goes_on_in_float32(competition, tmp_path, monkeypatch, capsys):
    poison(monkeypatch, {1, 2, 3})
    logs = []
    run(
        competition,
        tmp_path / "run",
        CONFIG.model_copy(update={"precision": "bf16"}),
        only_fold=0,
        on_epoch=logs.append,
    )
    assert "from here on in float32" in capsys.readouterr().out
    assert {log.lr for log in logs} == {0.01}


@pytest.mark.parametrize("steps", [3, 6, 7, 9])
@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_a_run_killed_among_bad_steps_ends_where_the_whole_one_does(
    competition, tmp_path, monkeypatch, steps, precision
):
    poison(monkeypatch, {4, 5, 6, 9})
    config = CONFIG.model_copy(update={"precision": precision})
    run(competition, tmp_path / "whole", config, only_fold=0)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, steps)
        run(competition, tmp_path / "stopped", config, only_fold=0)
    run(competition, tmp_path / "stopped", config, only_fold=0, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "stopped")
    assert len(read_logs(tmp_path / "whole" / "log.jsonl")) == 4


def test_too_many_bad_steps_end_the_run_with_the_pictures_named_and_a_state_kept(competition, tmp_path, monkeypatch):
    with (
        monkeypatch.context() as patch,
        pytest.raises(NumbersError, match=rf"in {STOP} steps in a row the loss is nan.* on .*\.png"),
    ):
        poison(patch, set(range(3, 16)))
        run(competition, tmp_path / "run", CONFIG, only_fold=0)
    assert list((tmp_path / "run" / "fold0" / "last").iterdir())
    _, result = run(competition, tmp_path / "run", CONFIG, only_fold=0, resume=True)
    assert torch.isfinite(torch.from_numpy(result.folds[0].oof_probs)).all()


def test_the_rule():
    recovery, runtime, error = (
        Recovery(),
        Runtime(torch.device("cpu"), "fp16"),
        NonFiniteLossError("the loss is inf", [1], 0, 0.1),
    )
    for _ in range(MEASURE):
        recovery.failed(error, runtime, ["a.png", "b.png"])
    assert (runtime.precision, recovery.rate) == ("float32", 1.0)
    for _ in range(MEASURE):
        recovery.failed(error, runtime, ["a.png", "b.png"])
    assert recovery.rate == 0.5
    recovery.passed()
    for _ in range(STOP - 1):
        recovery.failed(error, runtime, ["a.png", "b.png"])
    with pytest.raises(NumbersError, match=r"on b\.png\. "):
        recovery.failed(error, runtime, ["a.png", "b.png"])
