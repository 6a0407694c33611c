"""The machine and the software that a figure was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> str:
    """The machine and the software, in a line."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{processor()}, {cores()} cores"
    return f"{platform.system()} {platform.machine()}, {device}, Python {platform.python_version()}, torch {torch.__version__}"


def cores() -> int:
    """Cores that this process may use: fewer than the machine has where a container or taskset says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's name as the system states it; "CPU" where it states none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return platform.processor() or "CPU"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "CPU")
