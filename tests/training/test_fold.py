"""A run of a few tiny folds: what is kept, what is resumed, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from run_lab import FAST, run

from protocol.strict import ConfigError
from recipe.config import Config
from recipe.models.start import start
from recipe.serving.predict import Ensemble
from recipe.training.fold import FoldTraining
from recipe.training.run import Best


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
    assert len(ensemble.members[0].folders) == 2


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


def test_resume_refuses_other_settings_and_other_data(competition, tmp_path):
    run(competition, tmp_path / "run", FAST.model_copy(update={"epochs": 0}), only_fold=0)
    with pytest.raises(ConfigError, match=r"lr: 0\.01 \(now 0\.02\)"):
        run(competition, tmp_path / "run", FAST.model_copy(update={"epochs": 0, "lr": 0.02}), resume=True)
    csv = competition / "train.csv"
    csv.write_text("\n".join(csv.read_text(encoding="utf-8").splitlines()[:-3]) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="pictures or labels have changed"):
        run(competition, tmp_path / "run", FAST.model_copy(update={"epochs": 0}), resume=True)
    (tmp_path / "run" / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"run\.json is damaged"):
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


@pytest.mark.parametrize(("metric", "sign"), [("accuracy", 1), ("log_loss", -1)])
def test_early_stopping_keeps_the_best_epoch(competition, tmp_path, metric, sign):
    logs = []
    config = FAST.model_copy(update={"epochs": 9, "patience": 1, "lr": 1e-12, "ema_decay": 0.0})
    _, result = run(competition, tmp_path / "run", config, only_fold=0, on_epoch=logs.append, metric=metric)
    assert len(logs) < 9
    assert result.folds[0].epoch == max(logs, key=lambda log: (sign * log.valid_score, -log.valid_loss)).epoch


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
        backbone="tf_efficientnet_lite0",
        image_size=32,
        epochs=0,
        folds=2,
        memory_format="contiguous",
        views="identity()",
        workers=1,
    )
    _, result = run(competition, tmp_path / "run", config)
    assert result.probe_score == pytest.approx(result.oof_score)
    for fold in result.folds:
        assert fold.epoch == 0
        assert np.allclose(fold.oof_probs, fold.probe_probs, atol=1e-4)


LITE = Config(
    backbone="tf_efficientnet_lite0",
    image_size=32,
    epochs=2,
    batch_size=12,
    folds=2,
    memory_format="contiguous",
    optimizer="sgd()",
    lr=0.01,
    views="identity()",
    workers=1,
)


@pytest.mark.parametrize("augment", ["hflip()", ""])
def test_the_first_stage_moves_the_head_alone(competition, tmp_path, monkeypatch, augment):
    seen = []
    close = FoldTraining._close_epoch

    def spy(self, *words):
        seen.append(
            (
                self.state.epoch,
                self.model.backbone.conv_stem.weight.detach().clone(),
                self.model.head.classifier.weight.detach().clone(),
            )
        )
        close(self, *words)

    monkeypatch.setattr(FoldTraining, "_close_epoch", spy)
    config = LITE.model_copy(update={"freeze_epochs": 1, "augment": augment, "head_init": "random"})
    run(competition, tmp_path / "run", config, only_fold=0)
    (_, stem_1, head_1), (_, stem_2, head_2) = seen
    reference = start(config, 3).model.backbone.conv_stem.weight
    assert torch.equal(stem_1, reference)
    assert not torch.equal(stem_2, reference)
    assert not torch.equal(head_1, head_2)


def test_cached_features_train_the_head_as_the_network_does(competition, tmp_path, monkeypatch):
    """Where nothing is augmented, the first stage on stored features is the first stage on pictures."""
    config = LITE.model_copy(update={"epochs": 1, "freeze_epochs": 1, "augment": ""})
    _, cached = run(competition, tmp_path / "cached", config, only_fold=0)
    monkeypatch.setattr("recipe.training.steps.kept_features", lambda *everything: None)
    _, plain = run(competition, tmp_path / "plain", config, only_fold=0)
    assert np.allclose(cached.folds[0].oof_probs, plain.folds[0].oof_probs, atol=1e-4)


def test_distillation_from_out_of_fold_and_from_a_run(competition, tmp_path):
    run(competition, tmp_path / "teacher")
    _, untaught = run(competition, tmp_path / "untaught", FAST.model_copy(update={"epochs": 1}))
    for name in (tmp_path / "teacher" / "oof.csv", tmp_path / "teacher"):
        config = FAST.model_copy(update={"teacher": str(name), "epochs": 1})
        _, student = run(competition, tmp_path / f"student of {name.name}", config)
        assert np.isfinite(student.oof_probs).all()
        assert not np.array_equal(student.oof_probs, untaught.oof_probs)
    with pytest.raises(ConfigError, match="has seen validation rows"):
        run(competition, tmp_path / "other", FAST.model_copy(update={"teacher": str(tmp_path / "teacher"), "seed": 5}))
    with pytest.raises(ConfigError, match=r"is no oof\.csv, no run folder and no timm name"):
        run(competition, tmp_path / "none", FAST.model_copy(update={"teacher": "nobody"}))


@pytest.mark.limit("recipe.training.step.objective", "Objective")
def test_teacher_weight_0_is_the_plain_run(competition, tmp_path):
    run(competition, tmp_path / "teacher")
    _, plain = run(competition, tmp_path / "plain", only_fold=0)
    config = FAST.model_copy(update={"teacher": str(tmp_path / "teacher" / "oof.csv"), "teacher_weight": 0.0})
    _, taught = run(competition, tmp_path / "taught", config, only_fold=0)
    assert np.array_equal(plain.folds[0].oof_probs, taught.folds[0].oof_probs)


def test_snapshots_are_thinned_evenly_and_the_newest_stays(competition, tmp_path):
    run(competition, tmp_path / "run", FAST.model_copy(update={"snapshot_steps": 1, "snapshot_keep": 3}), only_fold=0)
    steps = sorted(int(path.stem[4:]) for path in (tmp_path / "run" / "fold0" / "snapshots").iterdir())
    assert len(steps) == 3
    assert steps[-1] == 6  # 18 rows, 8 per step, 3 epochs
    assert max(b - a for a, b in zip([0, *steps], steps, strict=False)) <= 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretrained": True, "init": "kaiming"}, "overwrite the pretrained weights"),
        ({"pretrained": True, "zero_gamma": True}, "cut the pretrained branches off"),
        ({"consistency": 1.0}, "mix blends two"),
        ({"freeze_epochs": 1}, "freeze a random backbone"),
        ({"loss": "arcface()"}, "need head 'cosine"),
        ({"activation": "silly"}, "unknown activation"),
        ({"backbone": "test_vit", "image_size": 160, "zero_gamma": True}, "zero_gamma"),
    ],
    ids=str,
)
def test_combinations_without_sense_are_refused_in_a_sentence(changes, message):
    with pytest.raises(ValueError, match=message):
        start(Config(**(FAST.model_dump() | changes)), 3)


def test_copies_and_groups_stay_in_one_fold(competition):
    """--group-column and group_duplicates, through the preparation that main.py uses."""
    import shutil

    from recipe.app import App
    from recipe.cli import Options
    from recipe.data.folds import make_folds
    from recipe.prepare import prepare

    lines = (competition / "train.csv").read_text(encoding="utf-8").splitlines()
    copies = []
    for row in range(6):
        shutil.copy(competition / "image" / f"{row:03d}.png", competition / "image" / f"copy{row}.png")
        copies.append(f"./image/copy{row}.png,{row % 3}")
    grouped = [f"{line},{number // 6}" for number, line in enumerate(lines[1:] + copies)]
    (competition / "train.csv").write_text("\n".join([lines[0] + ",scene", *grouped]) + "\n", encoding="utf-8")
    for columns, config in (({"group": "scene"}, {}), ({}, {"group_duplicates": True})):
        app = App.model_validate({"competition": {"id": "Tiny", "columns": columns}})
        ready = prepare(Options(app, FAST.model_copy(update=config), "cpu", ""), competition)
        folds = make_folds(ready.table, 2, 0)
        numbers = np.empty(len(ready.table), dtype=int)
        for fold in folds:
            numbers[fold.valid_rows] = fold.index
        if columns:
            assert all(len(set(numbers[first : first + 6])) == 1 for first in range(0, 42, 6))
        else:
            assert all(numbers[row] == numbers[36 + row] for row in range(6))
