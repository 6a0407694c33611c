"""The machine: device, arithmetic, memory layout and micro-batch, chosen by a short timing on the machine itself."""

from __future__ import annotations

import contextlib
import copy
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from recipe.config import Config, ConfigError

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TIMED_SECONDS = 2.0  # per candidate, at most; two candidates on a CPU


@dataclass
class Runtime:
    """How a model is run. `micro_batch` is halved when memory runs out."""

    device: torch.device
    precision: str = "float32"
    memory_format: torch.memory_format = torch.contiguous_format
    micro_batch: int = 64
    pictures_per_second: float = 0.0  # one forward and backward pass, as timed; 0 where it was not

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Mixed precision for the forward pass; nothing in float32."""
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=DTYPES[self.precision])

    def __str__(self) -> str:
        layout = "channels_last" if self.memory_format is torch.channels_last else "contiguous"
        return f"{self.device}, {self.precision}, {layout}"


def choose_device(name: str = "auto") -> torch.device:
    """The device by name; auto takes CUDA, then MPS, then the CPU.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device {name!r} cannot be used here ({str(error).splitlines()[0]}); accepted: auto, cpu, cuda, cuda:N, mps."
        ) from None
    return device


def choose_profile(device: torch.device) -> tuple[str, str]:
    """The profile for this hardware, and why."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        memory_gb = properties.total_memory / 2**30
        if memory_gb >= 7:
            return "full", f"{properties.name} with {memory_gb:.0f} GB"
        return "cpu", f"{properties.name} has {memory_gb:.0f} GB and the full profile needs 7"
    if device.type == "mps":
        return "cpu", "the full profile takes days on an Apple GPU"
    return "cpu", f"no GPU was found ({os.cpu_count()} cores)"


def fastest_precision(device: torch.device) -> str:
    """bf16 where the GPU has it, fp16 on those with fast half arithmetic, else float32 (P40: fp16 is slow; CPUs without AMX: bf16 is)."""
    if device.type != "cuda":
        return "float32"
    major, _ = torch.cuda.get_device_capability(device)
    return "bf16" if major >= 8 else "fp16" if major >= 7 else "float32"


def choose_runtime(config: Config, model: nn.Module) -> Runtime:
    """Settles what the settings leave open, by timing a few passes of a copy of the model.

    Raises:
        ConfigError: the device is absent, or the precision does not run on it.
    """
    device = choose_device(config.device)
    precision = fastest_precision(device) if config.precision == "auto" else config.precision
    formats = {
        "auto": [torch.channels_last] if device.type == "cuda" else [torch.channels_last, torch.contiguous_format],
        "channels_last": [torch.channels_last],
        "contiguous": [torch.contiguous_format],
    }[config.memory_format]
    candidates = [Runtime(device, precision, layout, config.micro_batch or config.batch_size) for layout in formats]
    scratch = copy.deepcopy(model).to(device)
    for runtime in candidates:
        runtime.pictures_per_second = _timed(scratch, runtime, config)
    return max(candidates, key=lambda runtime: runtime.pictures_per_second)


def _timed(model: nn.Module, runtime: Runtime, config: Config) -> float:
    count = min(runtime.micro_batch, 16 if runtime.device.type == "cpu" else 64)
    while True:
        try:
            return _pictures_per_second(model, runtime, count, config.image_size)
        except torch.OutOfMemoryError:
            if count == 1:
                raise ConfigError(
                    f"not even one picture of {config.image_size} px fits in memory; lower --image-size or take --profile cpu."
                ) from None
            count //= 2
            runtime.micro_batch = min(runtime.micro_batch, count)


def _pictures_per_second(model: nn.Module, runtime: Runtime, count: int, size: int) -> float:
    images = torch.zeros(count, 3, size, size, device=runtime.device).contiguous(memory_format=runtime.memory_format)
    model = model.to(memory_format=runtime.memory_format).eval()  # type: ignore[call-overload]

    def one_pass() -> None:
        with runtime.autocast():
            loss = model(images).float().square().mean()
        loss.backward()
        model.zero_grad(set_to_none=True)
        _wait(runtime.device)

    return count / _seconds(one_pass)


def _seconds(work: Callable[[], None]) -> float:
    work()
    times: list[float] = []
    while len(times) < 2 or (sum(times) < TIMED_SECONDS and len(times) < 8):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module's own mode is restored after the block (frozen BatchNorm stays frozen)."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            module.training = training
