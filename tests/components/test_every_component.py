"""Every registered name trains for one short epoch on the embedded competition, through main.py's own path, and stays
finite.

What is no part of a component is cut short, so that all names take minutes: 27 pictures of 32 px, one of three folds, a
machine that is given rather than timed (that alone is three passes of every network), and files that are renamed but
not flushed to the disk.
"""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import torch

from flyai_local.contest.competitions import competition as card_of
from flyai_local.contest.competitions import place
from recipe import train
from recipe.components.families import FAMILIES, family
from recipe.config import Config
from recipe.data.reading import read
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.system.runtime import Runtime
from recipe.training.run import Prepared

pytestmark = pytest.mark.slow

BASE = {
    "backbone": "test_efficientnet",
    "pretrained": False,
    "image_size": 32,
    "epochs": 1,
    "batch_size": 9,
    "folds": 3,
    "workers": 1,
    "memory_format": "contiguous",
    "optimizer": "sgd()",
    "augment": "hflip()",
    "views": "identity()",
}
# What a name needs beside itself to make sense.
COMPANIONS = {"arcface": {"head": "cosine(scale=30)"}, "cosface": {"head": "cosine(scale=30)"}}
CASES = [(name, component) for name in FAMILIES for component in family(name)]


@pytest.fixture(scope="module")
def sketch(tmp_path_factory):
    """27 pictures of MushroomSketch, three of each genus."""
    patch = pytest.MonkeyPatch()
    patch.setenv("FLYAI_LOCAL_HOME", str(tmp_path_factory.mktemp("home")))
    folder = tmp_path_factory.mktemp("data") / "MushroomSketch"
    place(card_of("MushroomSketch"), folder)
    lines = (folder / "train.csv").read_text(encoding="utf-8").splitlines()
    kept = [[line for line in lines[1:] if line.endswith(f",{label}")][:3] for label in range(9)]
    (folder / "train.csv").write_text(
        "\n".join([lines[0], *(line for lines in kept for line in lines)]) + "\n", encoding="utf-8"
    )
    patch.undo()
    table = read(folder)
    pictures = Pictures(table.paths, 64, cache_mb=64)
    pictures.load_all()
    return table, pictures


def settings(name: str, component: str) -> dict:
    """The base run with one component changed."""
    setting = FAMILIES[name][1]
    text = f"{component}()"
    return BASE | ({setting: text} if setting else {}) | COMPANIONS.get(component, {})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run folder, removed afterwards: all networks together are 20 GB. The machine is given, and nothing waits for
    the disk.
    """
    monkeypatch.setattr(
        "recipe.training.run.choose_runtime",
        lambda *given: Runtime(torch.device("cpu"), micro_batch=9, pictures_per_second=1.0),
    )
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    yield tmp_path / "run"
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize(("name", "component"), CASES, ids=[f"{name}-{component}" for name, component in CASES])
def test_one_short_epoch(sketch, folder, name, component):
    table, pictures = sketch
    metric = component if name == "metric" else "accuracy"
    begun = start(Config(**settings(name, component)), len(table.classes))
    own = (
        pictures
        if short_side(begun.preprocessing) == pictures.short_side
        else Pictures(table.paths, short_side(begun.preprocessing), cache_mb=64)
    )
    result = train.cross_validate(Prepared(begun, table, own), folder, train.RunOptions(metric, only_fold=0))
    probs = result.folds[0].oof_probs
    assert probs.shape == (9, 9) and np.isfinite(probs).all()
    assert np.allclose(probs.sum(1), 1, atol=1e-4)
    assert np.isfinite(result.oof_score)
