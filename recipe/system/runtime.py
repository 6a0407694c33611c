"""The machine: device, arithmetic, memory layout, threads, micro-batch; recipe/system/timing.py times them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from protocol.language import counted, later, tr
from protocol.strict import ConfigError

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Runtime:
    """How a model is run. `micro_batch` is halved when memory runs out."""

    device: torch.device
    precision: str = "float32"
    memory_format: torch.memory_format = torch.contiguous_format
    micro_batch: int = 64
    threads: int = 0  # of torch on a CPU; 0 leaves them as they are
    pictures_per_second: float = 0.0  # one forward and backward pass, as timed; 0 where it was not
    origin: str = later("not timed")  # where that figure comes from, in words
    recomputes: bool = False  # activations, in the backward pass, because memory ran out

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Mixed precision for the forward pass; nothing in float32."""
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=DTYPES[self.precision])

    def __str__(self) -> str:
        layout = "channels_last" if self.memory_format is torch.channels_last else "contiguous"
        threads = counted(", {count} thread", ", {count} threads", self.threads) if self.threads else ""
        return f"{self.device}, {self.precision}, {layout}{threads}"


def choose_device(name: str = "auto") -> torch.device:
    """The device by name; auto takes CUDA, then MPS, then the CPU.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            tr(
                "device {name!r} cannot be used here ({error}); accepted: auto, cpu, cuda, cuda:N, mps.",
                name=name,
                error=str(error).splitlines()[0],
            )
        ) from None
    return device


def choose_profile(device: torch.device) -> tuple[str, str]:
    """The profile for this hardware, and why."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        memory_gb = properties.total_memory / 2**30
        if memory_gb >= 7:
            return "full", tr("{name} with {memory_gb:.0f} GB", name=properties.name, memory_gb=memory_gb)
        return "cpu", tr(
            "{name} has {memory_gb:.0f} GB and the full profile needs 7", name=properties.name, memory_gb=memory_gb
        )
    if device.type == "mps":
        return "cpu", tr("the full profile takes days on an Apple GPU")
    return "cpu", tr("no GPU was found ({cpu_count} cores)", cpu_count=os.cpu_count())


def fastest_precision(device: torch.device) -> str:
    """bf16 where the GPU has it, fp16 where half is fast, else float32 (P40: slow fp16; CPUs without AMX: bf16)."""
    if device.type != "cuda":
        return "float32"
    major, _ = torch.cuda.get_device_capability(device)
    return "bf16" if major >= 8 else "fp16" if major >= 7 else "float32"


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards each module has its own mode (frozen BatchNorm stays frozen).

    Setting the mode of a few hundred modules takes a millisecond, as long as some pictures: a network that is in
    evaluation mode is left alone.
    """
    training = [module for module in model.modules() if module.training]
    if training:
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True
