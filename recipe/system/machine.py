"""What a figure was measured on and a run was made by: machine, software, commit; for reports and journals."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def machine() -> str:
    """The machine and the software, in a line."""
    import torch

    here = f"{processor()}, {cores()} core{'s' if cores() > 1 else ''}"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else here
    return (
        f"{platform.system()} {platform.machine()}, {device}, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


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


ROOT = Path(__file__).resolve().parents[2]


def commit(folder: Path = ROOT) -> str:
    """12 hex digits of the commit, `+changes` where tracked files differ; empty without git or a repository."""
    number = _git(folder, "rev-parse", "--short=12", "HEAD")
    return number + ("+changes" if number and _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *words: str) -> str:
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
