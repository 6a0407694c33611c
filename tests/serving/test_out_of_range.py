"""Values that no training writes and no machine computes with are refused when they are read, by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_predict import train_folder

from protocol.strict import ConfigError, checked
from recipe.components.families import check_components
from recipe.config import Config
from recipe.registry import SpecError, parse_many
from recipe.runs.checkpoint import load_checkpoint, save_checkpoint
from recipe.runs.description import _out_of_range, fold_folders, fold_number, read_description
from recipe.runs.ensemble import Answering
from recipe.system.atomic import CheckpointError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    train_folder(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_size", 10**9), ("test_size", 10**9), ("crop_pct", 1e-9), ("crop_pct", float("nan")), ("lr", float("inf")),
     ("teacher_temperature", 1e-320), ("weight_decay", float("nan"))],
)  # fmt: skip
def test_settings(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        checked(Config, {name: value}, "app.yaml")


@pytest.mark.parametrize("content", [{"temperature": 1e-320}, {"temperature": float("nan")}, {"test_size": 10**9}])
def test_ensemble_json(content: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(content))):
        checked(Answering, content, "ensemble.json")


@pytest.mark.parametrize("name", ["mix", "loss", "optimizer", "schedule", "reduction", "sampler", "head", "views"])
def test_an_empty_component_is_refused_before_anything_begins(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: ''"):
        check_components(Config(**{name: ""}))
    check_components(Config(augment=""))


@pytest.mark.parametrize("text", ["a" * 100_000, "(" * 3000, "a(" * 900 + ")" * 900, "a\0b", "a." * 1900 + "a"])
def test_long_and_deep_components_are_a_sentence(text: str) -> None:
    with pytest.raises(SpecError):
        parse_many(text)


def test_what_a_checkpoint_says(run: Path) -> None:
    good = read_description(run / "fold0")
    assert _out_of_range(good) == ""
    kept = good.preprocessing
    nan = float("nan")
    bad = [replace(good, prior=(nan, *good.prior[1:])), replace(good, prior=(2.0, *good.prior[1:]))]
    for change in ({"std": (0.0, 1.0, 1.0)}, {"std": (nan, 1.0, 1.0)}, {"mean": (nan, 0.0, 0.0)}, {"size": 10**9},
                   {"size": 0}, {"crop_pct": 1e-9}, {"crop_pct": nan}):  # fmt: skip
        bad.append(replace(good, preprocessing=replace(kept, **change)))
    assert all(map(_out_of_range, bad))
    assert all(np.array([_out_of_range(each).split(":")[0] for each in bad]) != "")


def test_weights_that_are_no_numbers(run: Path) -> None:
    model, description = load_checkpoint(run / "fold0")
    state = model.state_dict()
    name = next(name for name, tensor in state.items() if tensor.is_floating_point())
    state[name] = torch.full_like(state[name], float("nan"))
    save_checkpoint(run / "fold0", state, description)
    with pytest.raises(CheckpointError, match="NaN"):
        load_checkpoint(run / "fold0")


def test_copies_of_folds_are_not_folds(run: Path) -> None:
    folds = fold_folders(run)
    for name in ("fold0_backup", "fold 0", "fold0 (copy)", "fold-1", "foldx", "fold٣"):
        (run / name).mkdir()
        (run / name / "fold.json").write_text(json.dumps({}), encoding="utf-8")
        assert fold_number(run / name) is None
    assert fold_folders(run) == folds
