"""Every file under examples/ is what it says: it parses strictly, its components build, and its steps run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import ladder
from recipe.app import read_app
from recipe.components.families import check_components
from recipe.models.start import start
from recipe.sweep.file import read_sweep
from recipe.sweep.lr_find import TrialSteps
from recipe.sweep.rows import listed_rows, tasks_of

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
APPS = sorted((EXAMPLES / "cifar100").glob("*.yaml"))
SWEEPS = sorted([*(EXAMPLES / "sweeps").glob("*.yaml"), *(EXAMPLES / "ablation").glob("*.yaml")])


def test_no_file_is_left_out():
    found = {path for path in EXAMPLES.rglob("*.y*ml") if path.parent.name in ("cifar100", "sweeps", "ablation")}
    assert found == {*APPS, *SWEEPS}
    assert len(APPS) >= 7


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.stem)
def test_an_app_file_is_strict_and_builds(path):
    app = read_app(path)
    for profile in ("full", "cpu"):
        config = app.config(profile, {})
        check_components(config)
        assert config.image_size == 32
        assert "Published:" in path.read_text(encoding="utf-8")
        assert f"--app examples/cifar100/{path.name}" in path.read_text(encoding="utf-8")
    made = start(app.config("cpu", {}), 100)
    assert made.origin == "random"
    assert made.model.head.classifier.out_features == 100


def test_the_ladder_ends_with_everything():
    first, last = (read_app(path).config("full", {}) for path in (APPS[0], APPS[-1]))
    assert (first.backbone, first.optimizer.split("(")[0]) == ("cifar_resnet18", "sgd")
    assert (last.backbone, last.optimizer.split("(")[0]) == ("cifar_wrn40_10", "sam")
    assert all(word in last.augment for word in ("erasing", "autoaugment"))
    assert last.loss.startswith("smoothing")
    assert "hflip" in last.views


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_file_is_strict_and_all_its_rows_are_valid(path):
    file = read_sweep(path)
    rows = listed_rows(file)
    assert len(rows) >= 2 or file.search == "tpe"
    tasks = [task for row in rows for task in tasks_of(row, file)]
    for task in tasks:
        check_components(task.config)
    assert len({task.key for task in tasks}) == len(tasks), "no two rows are the same"
    assert not file.baseline or file.baseline in {row.name for row in rows}
    assert f"sweep examples/{path.parent.name}/{path.name}" in path.read_text(encoding="utf-8")


def test_the_bird_landscape_has_twelve_runs():
    rows = listed_rows(read_sweep(EXAMPLES / "sweeps" / "bird_resolution_dim.yaml"))
    assert {row.settings["image_size"] for row in rows} == {224, 336, 448}
    assert len(rows) == 12


def test_the_ablation_has_a_row_per_technique_and_both_files_share_them():
    equal_epochs, equal_time = (
        read_sweep(EXAMPLES / "ablation" / name) for name in ("mushroom4.yaml", "mushroom4_equal_time.yaml")
    )
    assert equal_epochs.rows == equal_time.rows
    assert equal_epochs.seeds == equal_time.seeds == [0, 1, 2]
    assert equal_time.at_equal_time.row == "baseline"
    named = " ".join(equal_epochs.rows)
    for technique in (
        "augmentation",
        "mixup",
        "CutMix",
        "smoothing",
        "focal",
        "SAM",
        "AdamW",
        "Ranger",
        "two stages",
        "EMA",
        "step",
        "bilinear",
        "ArcFace",
        "FixRes",
        "TTA",
    ):
        assert technique in named
    changed = [set(row) for row in equal_epochs.rows.values()]
    assert sum(not row for row in changed) == 1, "one baseline"


@pytest.mark.slow  # WRN-40-10 takes a second per picture and pass on two cores
@pytest.mark.parametrize("path", APPS, ids=lambda path: path.stem)
def test_twenty_steps_run(path, tmp_path):
    losses, _ = ladder.steps(ladder.small(path, 2), ladder.random_table(tmp_path), 20)
    assert len(losses) == 20 and np.isfinite(losses).all()


def test_the_ladder_s_first_row_steps_along_its_schedule(tmp_path, monkeypatch):
    """The small batch has its share of the rate, and the warm-up begins below the top."""
    rates = []
    step = TrialSteps.step
    monkeypatch.setattr(TrialSteps, "step", lambda self, lr: rates.append(lr) or step(self, lr))
    config = ladder.small(APPS[0], 2).model_copy(update={"backbone": "test_efficientnet"})
    losses, seconds = ladder.steps(config, ladder.random_table(tmp_path, per_class=2), 3)
    assert np.isfinite(losses).all() and seconds > 0
    assert config.scaled_lr == pytest.approx(0.1 * 2 / 128)
    assert 0 < rates[0] < rates[1] < rates[2] < config.scaled_lr


def test_the_published_figures_are_read_from_the_files():
    assert [ladder.published(path) for path in ladder.files()] == ["0.75", "", "", "", "", "", "0.8437"]
