"""The machine's part: profile, device, precision, estimate."""

from __future__ import annotations

import platform
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from protocol.strict import ConfigError
from recipe.components.optimizers import passes_per_step
from recipe.config import Config
from recipe.data.folds import Fold
from recipe.system import runtime as machine
from recipe.system import timing
from recipe.system.memory import keep_freed_blocks
from recipe.system.out_of_memory import is_out_of_memory
from recipe.system.runtime import Runtime, choose_device, choose_profile, evaluating
from recipe.system.timing import candidates, choose_runtime
from recipe.training.clock.cost import estimate


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


@pytest.mark.parametrize(
    ("capability", "precision"), [((9, 0), "bf16"), ((8, 0), "bf16"), ((7, 0), "fp16"), ((6, 1), "float32")]
)
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
    monkeypatch.setattr(timing, "_timed", lambda model, runtime, config: rates[runtime.memory_format])
    chosen = choose_runtime(Config(device="cpu", image_size=16), network())
    assert (chosen.memory_format, chosen.pictures_per_second) == (torch.contiguous_format, 3.0)
    asked = choose_runtime(Config(device="cpu", image_size=16, memory_format="channels_last"), network())
    assert asked.memory_format is torch.channels_last


RAN_OUT = [
    torch.OutOfMemoryError("out of memory"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 9 bytes."
    ),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 "
        "bytes."
    ),
    MemoryError(),
]


@pytest.mark.parametrize("error", RAN_OUT, ids=["cuda", "linux", "windows", "python"])
def test_timing_halves_the_micro_batch_when_memory_runs_out(monkeypatch, error):
    def limited(model, runtime, count, size, *most_seconds):
        if count > 4:
            raise error
        return 1.0

    monkeypatch.setattr(timing, "_pictures_per_second", limited)
    assert choose_runtime(Config(device="cpu", memory_format="contiguous"), network()).micro_batch == 4
    monkeypatch.setattr(timing, "_pictures_per_second", lambda *a: limited(None, None, 99, 0))
    with pytest.raises(ConfigError, match="not even one picture"):
        choose_runtime(Config(device="cpu"), network())


def test_timing_hides_no_other_error(monkeypatch):
    def broken(*words):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(timing, "_pictures_per_second", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        choose_runtime(Config(device="cpu", memory_format="contiguous"), network())


def test_what_the_cpu_s_own_allocator_says_is_recognised():
    """The real sentence, whatever torch's version makes of it: far more than any machine has."""
    with pytest.raises((RuntimeError, MemoryError)) as failure:
        torch.empty(2**55, dtype=torch.uint8)
    assert is_out_of_memory(failure.value)


def test_the_estimate_counts_every_pass():
    fold = Fold(0, np.arange(80), np.arange(20))
    runtime = Runtime(torch.device("cpu"), pictures_per_second=10.0)
    plain = Config(epochs=2, optimizer="sgd()", image_size=32, batch_size=20, pretrained=False, views="identity()")
    validations = 3 * 20 / 3  # after both epochs, and of the kept one
    assert estimate(plain, (fold,), runtime) == pytest.approx((2 * 80 + validations) / 10)
    assert estimate(plain.model_copy(update={"optimizer": "sam(sgd())"}), (fold,), runtime) == pytest.approx(
        (4 * 80 + validations) / 10
    )
    viewed = plain.model_copy(
        update={"views": "identity(), hflip()", "pretrained": True}
    )  # two views of the kept one, and the probe's pass
    assert estimate(viewed, (fold,), runtime) == pytest.approx((2 * 80 + validations + 3 * 20 / 3) / 10)
    assert estimate(plain.model_copy(update={"batch_size": 64}), (fold,), runtime) == pytest.approx(
        (2 * 64 + validations) / 10
    ), "no short batch"
    assert passes_per_step("looksam(sgd(), k=5)") == pytest.approx(1.2)


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


@pytest.fixture
def timings(monkeypatch):
    """The candidates that were timed, in order; all are equally fast."""
    seen: list[Runtime] = []
    monkeypatch.setattr(timing, "_timed", lambda model, runtime, config: seen.append(runtime) or 5.0)
    return seen


def test_a_choice_is_kept_for_the_run_and_for_the_next_one(timings, tmp_path):
    config = Config(device="cpu", image_size=16)
    first = choose_runtime(config, network(), tmp_path / "run")
    count = len(timings)
    again = [
        choose_runtime(config, network(), tmp_path / "run"),
        choose_runtime(config, network()),
        choose_runtime(config, network(), tmp_path / "b"),
    ]
    assert len(timings) == count > 0
    assert all(str(kept) == str(first) and "before" in kept.origin for kept in again)
    (timing.cache_folder() / "timings.json").unlink()
    choose_runtime(config, network(), tmp_path / "b")  # the run folder alone is enough to go on with
    assert len(timings) == count


@pytest.mark.parametrize(
    "changes", [{"image_size": 24}, {"batch_size": 2}, {"head": "mlp()"}, {"threads": 1}, {"retime": True}]
)
def test_what_a_timing_depends_on_times_again(timings, changes):
    config = Config(device="cpu", image_size=16)
    choose_runtime(config, network())
    count = len(timings)
    choose_runtime(config.model_copy(update=changes), network())
    assert len(timings) > count


@pytest.mark.parametrize("text", ["", "{", "7", "[3]", '[{"key": 1}]', "STALE"])
def test_a_broken_or_stale_file_is_as_good_as_none(timings, text):
    config = Config(device="cpu", image_size=16)
    choose_runtime(config, network())
    file = timing.cache_folder() / "timings.json"
    kept = file.read_text(encoding="utf-8")
    file.write_text(text.replace("STALE", kept.replace('"channels_last"', '"blocked"')), encoding="utf-8")
    count = len(timings)
    choose_runtime(config, network())
    assert len(timings) > count


def test_a_read_only_home_only_costs_the_time(timings, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("FLYAI_RECIPE_CACHE", str(tmp_path / "file" / "below"))
    assert choose_runtime(Config(device="cpu", image_size=16), network()).pictures_per_second == 5.0


def test_threads_and_precision_are_tried_where_they_can_matter(monkeypatch):
    monkeypatch.setattr(timing, "AVAILABLE_THREADS", 4)
    monkeypatch.setattr(timing, "has_amx", lambda: True)
    cpu, free = torch.device("cpu"), Config(device="cpu")
    assert candidates(free, cpu)[1:] == ([4, 2], ["float32", "bf16"])
    assert candidates(free.model_copy(update={"threads": 3, "precision": "float32"}), cpu)[1:] == ([3], ["float32"])
    monkeypatch.setattr(timing, "has_amx", lambda: False)
    monkeypatch.setattr(timing, "AVAILABLE_THREADS", 1)
    assert candidates(free, cpu) == ([torch.channels_last, torch.contiguous_format], [1], ["float32"])


def test_a_gain_within_the_noise_changes_nothing(monkeypatch):
    monkeypatch.setattr(timing, "AVAILABLE_THREADS", 2)
    threads = torch.get_num_threads()
    rates = {2: 100.0, 1: 102.0}
    monkeypatch.setattr(timing, "_timed", lambda model, runtime, config: rates[runtime.threads])
    try:
        assert choose_runtime(Config(device="cpu"), network()).threads == 2
        assert torch.get_num_threads() == 2
        rates[1] = 110.0
        assert choose_runtime(Config(device="cpu", retime=True), network()).threads == 1
    finally:
        torch.set_num_threads(threads)
