"""--deterministic: what is switched on which device, and that cuBLAS is told before it is first asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from protocol.strict import ConfigError
from recipe import train
from recipe.cli import options
from recipe.config import Config
from recipe.data.reading import read
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.system.determinism import WORKSPACE, make_deterministic
from recipe.training.run import Prepared

APP = Path(__file__).resolve().parents[2] / "app.yaml"


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    monkeypatch.setenv(WORKSPACE, "")  # remembered
    monkeypatch.delenv(WORKSPACE)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", torch.backends.cudnn.deterministic)
    yield
    torch.use_deterministic_algorithms(False)


def test_on_a_cpu_nothing_is_switched_and_that_is_said():
    said = make_deterministic(torch.device("cpu"))
    assert (
        said
        == "deterministic: on cpu nothing is to be switched; runs repeat themselves under the same number of threads"
    )
    assert not torch.are_deterministic_algorithms_enabled() and WORKSPACE not in os.environ


def test_on_cuda_all_switches_are_set():
    assert "slower" in make_deterministic(torch.device("cuda"))
    assert (
        torch.are_deterministic_algorithms_enabled()
        and torch.backends.cudnn.deterministic
        and not torch.backends.cudnn.benchmark
    )
    assert os.environ[WORKSPACE] == ":4096:8"


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--deterministic"], ":4096:8"),
        (["--deterministic", "true", "--profile", "cpu"], ":4096:8"),
        (["--deterministic", "false"], None),
        ([], None),
    ],
)
def test_the_command_line_tells_cublas(words, value):
    assert options(APP, words).config.deterministic == (value is not None)
    assert os.environ.get(WORKSPACE) == value


def test_the_value_of_the_user_stays(monkeypatch):
    monkeypatch.setenv(WORKSPACE, ":16:8")
    options(APP, ["--deterministic", "--epochs", "2"])
    assert os.environ[WORKSPACE] == ":16:8"


def test_a_bare_flag_is_true_and_other_words_are_refused():
    asked = options(APP, ["--retime", "--compile", "--epochs", "2"]).config
    assert (asked.retime, asked.compile, asked.epochs) == (True, True, 2)
    with pytest.raises(ConfigError, match="deterministic: 'perhaps' is refused"):
        options(APP, ["--deterministic", "perhaps"])
    with pytest.raises(SystemExit):
        options(APP, ["--epochs"])


def test_cublas_is_told_before_the_network_is_timed(competition, tmp_path, monkeypatch):
    told = []

    def timed(*words):
        told.append(os.environ.get(WORKSPACE))
        raise KeyboardInterrupt

    monkeypatch.setattr("recipe.training.run.choose_runtime", timed)
    table = read(competition)
    config = Config(
        backbone="test_efficientnet",
        pretrained=False,
        image_size=32,
        epochs=1,
        batch_size=8,
        folds=2,
        deterministic=True,
    )
    with pytest.raises(KeyboardInterrupt):
        train.cross_validate(Prepared(start(config, 3), table, Pictures(table.paths, 32)), tmp_path / "run")
    assert told == [":4096:8"]
