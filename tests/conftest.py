"""Shared by all tests: no per-user folder is touched, and the tiny competition that the journeys use."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import settings

import recipe  # noqa: F401  (before torch: how its threads wait)

ROOT = Path(__file__).resolve().parent.parent

os.environ["FLYAI_LANG"] = "en"  # whatever the locale; processes that tests start inherit it

# A loaded machine is no reason to fail.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Tests that send a signal mean it, also where the tests themselves were started in the background or under nohup.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Tiny networks: two threads wait for each other longer than they work.
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def home_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What fixtures of a whole file do happens in no user's folder either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLYAI_LOCAL_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("FLYAI_RECIPE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The per-user folders are fresh ones in every test."""
    monkeypatch.setenv("FLYAI_LANG", "en")  # --lang leaves it in the environment
    monkeypatch.setenv("FLYAI_LOCAL_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("FLYAI_RECIPE_CACHE", str(tmp_path_factory.mktemp("cache")))


def draw(label: int, seed: int, size: int = 48) -> np.ndarray:
    """A picture (size,size,3) uint8 whose class shows in its colour and stripes, with noise."""
    rng = np.random.default_rng([label, seed])
    image = rng.integers(0, 90, (size, size, 3), dtype=np.uint8)
    image[:, :, label % 3] += 120
    image[:: 2 + label] //= 2
    return image


def tiny(folder: Path) -> Path:
    """Writes a folder with train.csv and 36 pictures of 3 int classes."""
    (folder / "image").mkdir(parents=True)
    lines = ["image_path,label"]
    for row in range(36):
        name = f"image/{row:03d}.png"
        cv2.imwrite(str(folder / name), draw(row % 3, row))
        lines.append(f"./{name},{row % 3}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def competition(tmp_path: Path) -> Path:
    """A tiny competition of the test's own."""
    return tiny(tmp_path / "Tiny")


@pytest.fixture(scope="module")
def shared_competition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that the tests of a file share, and leave as it is."""
    return tiny(tmp_path_factory.mktemp("shared") / "Tiny")
