"""The machine's part: profile, device, precision, estimate."""

from __future__ import annotations

import platform
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recipe import runtime as machine
from recipe.config import Config, ConfigError
from recipe.folds import Fold
from recipe.malloc import keep_freed_blocks
from recipe.runtime import Runtime, choose_device, choose_profile, choose_runtime, evaluating
from recipe.train import estimate, passes_per_step


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten())


@pytest.mark.parametrize(("memory_gb", "profile"), [(24, "full"), (7, "full"), (4, "cpu")])
def test_a_gpu_needs_memory_for_the_full_profile(monkeypatch, memory_gb, profile):
    properties = SimpleNamespace(name="GPU", total_memory=memory_gb * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    chosen, why = choose_profile(torch.device("cuda"))
    assert (chosen, str(memory_gb) in why) == (profile, True)


def test_without_a_gpu_the_reason_is_said():
    assert choose_profile(torch.device("cpu"))[0] == "cpu"
    assert "no GPU" in choose_profile(torch.device("cpu"))[1]


@pytest.mark.parametrize(("capability", "precision"), [((9, 0), "bf16"), ((8, 0), "bf16"), ((7, 0), "fp16"), ((6, 1), "float32")])
def test_precision_by_generation(monkeypatch, capability, precision):
    """A P40 (6.1) has neither bf16 nor fast fp16."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert machine.fastest_precision(torch.device("cuda")) == precision


@pytest.mark.parametrize("name", ["cuda:9", "tpu", ""])
def test_devices_that_are_not_there(name):
    with pytest.raises(ConfigError, match="accepted: auto, cpu"):
        choose_device(name)


def test_the_faster_layout_wins(monkeypatch):
    rates = {torch.channels_last: 2.0, torch.contiguous_format: 3.0}
    monkeypatch.setattr(machine, "_timed", lambda model, runtime, config: rates[runtime.memory_format])
    chosen = choose_runtime(Config(device="cpu", image_size=16), network())
    assert (chosen.memory_format, chosen.pictures_per_second) == (torch.contiguous_format, 3.0)
    asked = choose_runtime(Config(device="cpu", image_size=16, memory_format="channels_last"), network())
    assert asked.memory_format is torch.channels_last


def test_timing_halves_the_micro_batch_when_memory_runs_out(monkeypatch):
    def limited(model, runtime, count, size):
        if count > 4:
            raise torch.OutOfMemoryError("out of memory")
        return 1.0

    monkeypatch.setattr(machine, "_pictures_per_second", limited)
    assert choose_runtime(Config(device="cpu", memory_format="contiguous"), network()).micro_batch == 4
    monkeypatch.setattr(machine, "_pictures_per_second", lambda *a: limited(None, None, 99, 0))
    with pytest.raises(ConfigError, match="not even one picture"):
        choose_runtime(Config(device="cpu"), network())


def test_the_estimate_counts_every_pass():
    fold = Fold(0, np.arange(80), np.arange(20))
    runtime = Runtime(torch.device("cpu"), pictures_per_second=10.0)
    plain = Config(epochs=2, optimizer="sgd()", image_size=32)
    assert estimate(plain, (fold,), runtime) == pytest.approx(2 * (80 + 20 / 3) / 10)
    assert estimate(plain.model_copy(update={"optimizer": "sam(sgd())"}), (fold,), runtime) == pytest.approx(2 * (160 + 20 / 3) / 10)
    assert passes_per_step(plain.model_copy(update={"optimizer": "looksam(sgd(), k=5)"})) == pytest.approx(1.2)


def test_evaluating_restores_every_module_s_own_mode():
    model = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Dropout()).train()
    model[0].eval()
    with evaluating(model):
        assert not model[1].training
    assert (model[0].training, model[1].training) == (False, True)


def test_malloc_takes_the_thresholds_on_linux_with_glibc_and_nowhere_else(monkeypatch):
    assert keep_freed_blocks() == (platform.system() == "Linux" and platform.libc_ver()[0] == "glibc")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert not keep_freed_blocks()
