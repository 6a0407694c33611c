"""What is fastest on this machine: memory format, threads and precision, by a short timing that is kept.

It is kept in `timing.json` of the run folder, so that a resumed run computes as it began, and in `timings.json` of the
user's cache folder, so that the next run does not wait. An entry counts for the very machine, versions, network and
sizes that it was timed with; a file that cannot be read or written is as good as none.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from protocol.language import tr
from protocol.strict import ConfigError
from recipe.config import Config
from recipe.system.atomic import CheckpointError, write_json
from recipe.system.machine import machine
from recipe.system.out_of_memory import is_out_of_memory
from recipe.system.runtime import Runtime, choose_device, fastest_precision

TIMED_SECONDS = 2.0  # per candidate, at most; three candidates on a CPU, four where it has AMX
TIMED_SHARE = 0.002  # of a time limit, per candidate
BETTER = 1.03  # a candidate must be so much faster than the one before it: less is noise
KEPT = 200  # entries of a file
AVAILABLE_THREADS = torch.get_num_threads()  # before any choice changes it
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def choose_runtime(config: Config, model: nn.Module, folder: Path | None = None) -> Runtime:
    """Settles what the settings leave open: as timed before, else by timing a few passes of a copy of the model.

    Args:
        folder: the run folder, which keeps the choice.

    Raises:
        ConfigError: the device is absent, or the precision does not run on it.
    """
    device = choose_device(config.device)
    key = identity(config, model, device)
    files = [*([] if folder is None else [folder / "timing.json"]), cache_folder() / "timings.json"]
    kept = [] if config.retime else [found for file in files if (found := _kept(file, key, device)) is not None]
    chosen = kept[0] if kept else _timed_choice(config, model, device)
    for file in files:
        _keep(file, key, chosen)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    return chosen


def identity(config: Config, model: nn.Module, device: torch.device) -> dict[str, Any]:
    """What a timing depends on."""
    asked = (
        "backbone",
        "head",
        "activation",
        "image_size",
        "batch_size",
        "micro_batch",
        "grad_checkpoint",
        "precision",
        "memory_format",
        "threads",
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    here = {"machine": machine(), "device": str(device), "threads_here": AVAILABLE_THREADS, "parameters": parameters}
    return here | {name: getattr(config, name) for name in asked}


def cache_folder() -> Path:
    """The user's cache folder of this project: $FLYAI_RECIPE_CACHE, else flyai-recipe in the system's usual place."""
    own = os.environ.get("FLYAI_RECIPE_CACHE")
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(own) if own else Path(base).expanduser() / "flyai-recipe"


def _entries(file: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _kept(file: Path, key: dict[str, Any], device: torch.device) -> Runtime | None:
    """The choice that was kept under the key; None where there is none, or none that can be used."""
    entry = next((entry["choice"] for entry in _entries(file) if entry.get("key") == key and "choice" in entry), None)
    try:
        return entry and Runtime(
            device,
            str(entry["precision"]),
            LAYOUTS[entry["memory_format"]],
            int(entry["micro_batch"]),
            int(entry["threads"]),
            float(entry["pictures_per_second"]),
            tr("as timed before (--retime true times anew)"),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _keep(file: Path, key: dict[str, Any], chosen: Runtime) -> None:
    layout = next(name for name, layout in LAYOUTS.items() if layout is chosen.memory_format)
    fields = ("precision", "micro_batch", "threads", "pictures_per_second")
    entry = {"key": key, "choice": {name: getattr(chosen, name) for name in fields} | {"memory_format": layout}}
    others = [other for other in _entries(file) if other.get("key") != key]
    try:
        write_json(file, [*others[1 - KEPT :], entry])
    except CheckpointError:  # a read-only home: the next run times again
        return


def _timed_choice(config: Config, model: nn.Module, device: torch.device) -> Runtime:
    """One setting after another, each at the best of those before it."""
    layouts, threads, precisions = candidates(config, device)
    scratch = copy.deepcopy(model).to(device)
    best = Runtime(
        device,
        precisions[0],
        layouts[0],
        config.micro_batch or config.batch_size,
        threads[0],
        origin=tr("as timed just now"),
    )
    best.pictures_per_second = _timed(scratch, best, config)
    settings: dict[str, list[Any]] = {"memory_format": layouts, "threads": threads, "precision": precisions}
    for name, values in settings.items():
        for value in values[1:]:
            change: dict[str, Any] = {name: value}
            other = dataclasses.replace(best, **change)
            other.pictures_per_second = _timed(scratch, other, config)
            best = other if other.pictures_per_second > BETTER * best.pictures_per_second else best
    return best


def candidates(config: Config, device: torch.device) -> tuple[list[torch.memory_format], list[int], list[str]]:
    """Layouts, threads and precisions to time, the likeliest first; one each where the settings decide.

    bf16 is tried on a CPU only where it has AMX: elsewhere it takes twice the time.
    """
    cpu = device.type == "cpu"
    layouts = [torch.channels_last, *([] if device.type == "cuda" else [torch.contiguous_format])]
    threads = [AVAILABLE_THREADS, *([AVAILABLE_THREADS // 2] if AVAILABLE_THREADS > 1 else [])] if cpu else [0]
    return (
        layouts if config.memory_format == "auto" else [LAYOUTS[config.memory_format]],
        [config.threads] if cpu and config.threads else threads,
        precisions_of(device) if config.precision == "auto" else [config.precision],
    )


def precisions_of(device: torch.device) -> list[str]:
    """Those that are worth a timing on a device, the likeliest first."""
    return [fastest_precision(device), *(["bf16"] if device.type == "cpu" and has_amx() else [])]


def has_amx() -> bool:
    """Whether the processor multiplies bf16 matrices in hardware (Intel AMX), as far as torch can tell."""
    tell = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(tell and tell())


def _timed(model: nn.Module, runtime: Runtime, config: Config) -> float:
    count = min(runtime.micro_batch, 16 if runtime.device.type == "cpu" else 64)
    while True:
        try:
            limit = min(TIMED_SECONDS, 60 * config.minutes * TIMED_SHARE or TIMED_SECONDS)
            return _pictures_per_second(model, runtime, count, config.image_size, limit)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if count == 1:
                raise ConfigError(
                    tr(
                        "not even one picture of {image_size} px fits in memory; lower --image-size or take "
                        "--profile cpu.",
                        image_size=config.image_size,
                    )
                ) from None
            count //= 2
            runtime.micro_batch = min(runtime.micro_batch, count)


def _pictures_per_second(model: nn.Module, runtime: Runtime, count: int, size: int, limit: float) -> float:
    images = torch.zeros(count, 3, size, size, device=runtime.device).contiguous(memory_format=runtime.memory_format)
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    model = model.to(memory_format=runtime.memory_format).eval()  # type: ignore[call-overload]

    def one_pass() -> None:
        with runtime.autocast():
            loss = model(images).float().square().mean()
        loss.backward()
        model.zero_grad(set_to_none=True)
        _wait(runtime.device)

    return count / _seconds(one_pass, limit)


def _seconds(work: Callable[[], None], limit: float) -> float:
    work()
    times: list[float] = []
    while not times or (sum(times) < limit and len(times) < 8):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
