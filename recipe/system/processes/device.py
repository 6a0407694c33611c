"""Which GPU is a process's own, and what several of them cannot share."""

from __future__ import annotations

import dataclasses

import torch

from protocol.language import tr
from protocol.strict import ConfigError
from recipe.config import Config
from recipe.system.processes.world import World, beside, local_rank
from recipe.system.runtime import Runtime


def own_device(runtime: Runtime, config: Config, world: World) -> Runtime:
    """How the first process computes, on this process's own device: on CUDA the GPU of its number on this machine.

    Precision, layout and micro-batch belong to the run, so all have those of the first. Limit: alone, `runtime` itself.

    Raises:
        ConfigError: there are more processes than GPUs, or one GPU is named for all.
    """
    if world.alone:
        return runtime
    if runtime.device.type != "cuda":
        if runtime.device.type != "cpu":
            raise ConfigError(
                tr(
                    "{size} processes train on a CPU or on CUDA, not on {device}: --device cpu.",
                    size=world.size,
                    device=runtime.device,
                )
            )
        torch.set_num_threads(runtime.threads or torch.get_num_threads())
        return runtime
    there = torch.cuda.device_count()
    if ":" in config.device:
        raise ConfigError(
            tr(
                "device: {device} is one GPU for {size} processes; --device cuda gives each its own.",
                device=config.device,
                size=world.size,
            )
        )
    if there < beside():
        raise ConfigError(
            tr(
                "{beside} processes whose machine has this many GPUs: {there}; each needs its own. Take "
                "--processes {there}, or --device cpu.",
                beside=beside(),
                there=there,
            )
        )
    device = torch.device(runtime.device.type, local_rank())
    torch.cuda.set_device(device)
    return dataclasses.replace(runtime, device=device)
