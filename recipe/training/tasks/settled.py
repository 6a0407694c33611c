"""Precision and pictures of a pass for all tasks of a run: as the first of them timed them.

Threads and layout belong to a machine, precision and passes to the run: scores that are compared are computed alike.
The coordinator's machine may be a login node without a GPU, so it times nothing: the first task that has timed its own
writes both down beside the tasks, and later ones take them over where their device is of that kind and can.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from protocol.plain_files import Unreadable, read_json
from recipe.config import Config
from recipe.system.runtime import Runtime
from recipe.system.timing import precisions_of

WAIT = 0.1, 20  # seconds between looks at a file that the first task is writing, and how many


def settle(tasks: Path, runtime: Runtime, config: Config, passes: bool = True) -> Runtime:
    """How this task computes.

    Args:
        tasks: the folder of all tasks of a run.
        runtime: as this machine would by itself. What the settings name is never changed.
        passes: whether all tasks train the same network, so that the same passes suit them.
    """
    place = tasks / f"settled-{runtime.device.type}.json"
    try:
        with open(place, "x", encoding="utf-8") as file:
            file.write(json.dumps({"precision": runtime.precision, "micro_batch": runtime.micro_batch}))
    except FileExistsError:
        first = _read(place)
        if config.precision == "auto" and _can(runtime.device, first.get("precision")):
            runtime = replace(runtime, precision=first["precision"])
        if passes and not config.micro_batch and isinstance(first.get("micro_batch"), int):
            runtime = replace(runtime, micro_batch=min(max(1, first["micro_batch"]), config.batch_size))
    except OSError:  # no room: each by itself, and the table says where they differ
        pass
    return runtime


def _can(device: torch.device, precision: Any) -> bool:
    own = precisions_of(device)
    half = precision == "fp16" and device.type == "cuda" and "bf16" in own  # a newer GPU beside older ones
    return precision == "float32" or precision in own or half


def told(runtime: Runtime) -> dict[str, Any]:
    """What a result says of how it was computed."""
    return {"device": str(runtime.device), "precision": runtime.precision, "micro_batch": runtime.micro_batch}


def _read(place: Path) -> dict[str, Any]:
    """What the first task wrote; nothing where it was killed over it."""
    seconds, looks = WAIT
    for _ in range(looks):
        try:
            return read_json(place)
        except (OSError, Unreadable):
            time.sleep(seconds)
    return {}
