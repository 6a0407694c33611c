"""A run of a few tiny folds: what is kept, what is resumed, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from recipe.config import Config, ConfigError
from recipe.data import read
from recipe.fold import Best, FoldTraining
from recipe.pictures import Pictures
from recipe.plan import plan
from recipe.predict import Ensemble, short_side
from recipe.train import cross_validate

FAST = Config(
    backbone="test_efficientnet", pretrained=False, image_size=32, epochs=3, batch_size=8, folds=2, memory_format="contiguous",
    optimizer="sam(adamw(), rho=0.05)", lr=0.01, mix="mixup(alpha=0.2)", augment="hflip()", ema_decay=0.9, views="identity()", workers=1,
)  # fmt: skip


def run(competition, folder, config=FAST, **how):
    table = read(competition)
    planned = plan(config, len(table.classes))
    return table, cross_validate(planned, table, Pictures(table.paths, short_side(planned.preprocessing)), folder, **how)


def test_every_row_is_predicted_once_and_the_files_are_there(competition, tmp_path):
    logs = []
    table, result = run(competition, tmp_path / "run", on_epoch=logs.append)
    assert result.oof_probs.shape == (36, 3)
    assert np.allclose(result.oof_probs.sum(1), 1, atol=1e-5)
    assert len(logs) == 6
    assert all(np.isfinite([log.train_loss, log.valid_loss, log.lr]).all() for log in logs)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["oof"] == pytest.approx(result.oof_score)
    assert metrics["oof"] == pytest.approx((result.oof_probs.argmax(1) == table.labels).mean())
    assert (tmp_path / "run" / "oof.csv").read_text(encoding="utf-8").count("\n") == 37
    ensemble = Ensemble(tmp_path / "run")
    assert ensemble.values == (0, 1, 2)
    assert len(ensemble.models) == 2


def test_out_of_fold_equals_prediction_from_the_checkpoint(competition, tmp_path):
    """Validation and serving are one code path."""
    table, result = run(competition, tmp_path / "run", only_fold=1)
    rows = np.flatnonzero(~np.isnan(result.oof_probs[:, 0]))
    probs = Ensemble(tmp_path / "run").probs([table.paths[row] for row in rows])
    assert np.allclose(probs, result.oof_probs[rows], atol=1e-5)


def test_a_run_repeats_itself(competition, tmp_path):
    _, first = run(competition, tmp_path / "a", only_fold=0)
    _, second = run(competition, tmp_path / "b", only_fold=0)
    assert np.array_equal(first.folds[0].oof_probs, second.folds[0].oof_probs)


def test_resume_equals_the_uninterrupted_run(competition, tmp_path, monkeypatch):
    _, whole = run(competition, tmp_path / "whole")
    save = FoldTraining._save_state

    def interrupted(self):
        save(self)
        if self.fold.index == 1 and self.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(FoldTraining, "_save_state", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(competition, tmp_path / "stopped")
    monkeypatch.setattr(FoldTraining, "_save_state", save)
    logs = []
    _, resumed = run(competition, tmp_path / "stopped", resume=True, on_epoch=logs.append)
    assert [(log.fold, log.epoch) for log in logs] == [(1, 3)]
    assert np.array_equal(whole.oof_probs, resumed.oof_probs, equal_nan=True)
    for fold in ("fold0", "fold1"):
        first, second = (load_file(tmp_path / name / fold / "model.safetensors") for name in ("whole", "stopped"))
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_resume_refuses_other_settings_and_other_data(competition, tmp_path):
    run(competition, tmp_path / "run", FAST.model_copy(update={"epochs": 0}), only_fold=0)
    with pytest.raises(ConfigError, match=r"lr: 0\.01 \(now 0\.02\)"):
        run(competition, tmp_path / "run", FAST.model_copy(update={"epochs": 0, "lr": 0.02}), resume=True)
    csv = competition / "train.csv"
    csv.write_text("\n".join(csv.read_text(encoding="utf-8").splitlines()[:-3]) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="pictures or labels have changed"):
        run(competition, tmp_path / "run", FAST.model_copy(update={"epochs": 0}), resume=True)
    with pytest.raises(ConfigError, match="holds no run to go on with"):
        run(competition, tmp_path / "none", resume=True)


def test_an_earlier_run_is_moved_aside(competition, tmp_path):
    still = FAST.model_copy(update={"epochs": 0})
    run(competition, tmp_path / "run", still, only_fold=0)
    run(competition, tmp_path / "run", still, only_fold=1)
    (aside,) = [path for path in tmp_path.iterdir() if path.name.startswith("run-")]
    assert (aside / "fold0" / "model.safetensors").exists()
    assert not (tmp_path / "run" / "fold0").exists()


def test_unknown_fold(competition, tmp_path):
    with pytest.raises(ConfigError, match="the folds are 0 to 1"):
        run(competition, tmp_path / "run", only_fold=2)


def test_early_stopping_keeps_the_best_epoch(competition, tmp_path):
    logs = []
    config = FAST.model_copy(update={"epochs": 9, "patience": 1, "lr": 1e-12, "ema_decay": 0.0})
    _, result = run(competition, tmp_path / "run", config, only_fold=0, on_epoch=logs.append)
    assert len(logs) < 9
    assert result.folds[0].epoch == max(logs, key=lambda log: (log.valid_score, -log.valid_loss)).epoch


def test_the_best_epoch_is_chosen_by_score_then_loss():
    best = Best(0.5, 1.0, 3)
    assert best.beaten_by(0.6, 9.0, higher_is_better=True)
    assert best.beaten_by(0.5, 0.9, higher_is_better=True)
    assert not best.beaten_by(0.5, 1.0, higher_is_better=True)
    assert best.beaten_by(0.4, 9.0, higher_is_better=False)
    assert Best().beaten_by(0.0, 9.0, higher_is_better=True)


def test_the_probe_is_epoch_0_and_the_floor(competition, tmp_path):
    """With packaged weights the head starts from logistic regression, and a run of no epochs is just that."""
    config = Config(
        backbone="tf_efficientnet_lite0", image_size=32, epochs=0, folds=2, memory_format="contiguous", views="identity()", workers=1
    )
    _, result = run(competition, tmp_path / "run", config)
    assert result.probe_score == pytest.approx(result.oof_score)
    for fold in result.folds:
        assert fold.epoch == 0
        assert np.allclose(fold.oof_probs, fold.probe_probs, atol=1e-4)
