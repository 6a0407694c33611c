"""The last of the machine, which no run may use up: a twentieth of its memory and of the disk that the run writes to.

Some of what a run takes is seen at no process and in no folder: buffers of sockets (those of TCP in no group of version
1 either), files that are mapped and closed. What is left of the machine shows all of it.
"""

from __future__ import annotations

import os
from pathlib import Path

from flyai_local.box.processes import LINUX
from flyai_local.states import Code

__all__ = ["Reserve", "left_mb"]

PART = 0.05
MEMINFO = Path("/proc/meminfo")


class Reserve:
    """What must stay free from now on; of a machine that is nearly full already, half of what is left.

    Args:
        folder: on the disk that the run writes to; None where that is bounded already.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._least = [min(PART * whole, free / 2) for free, whole in left_mb(folder)]

    def passed(self) -> Code | None:
        """The limit that has been passed on this machine, or None."""
        if not LINUX:
            return None
        memory, disk = (free < least for (free, _), least in zip(left_mb(self._folder), self._least, strict=True))
        if memory:
            return Code.OUT_OF_MEMORY
        return Code.DISK_LIMIT if disk else None


def left_mb(folder: Path | None) -> tuple[tuple[float, float], tuple[float, float]]:
    """What is left and what there is: of the machine's memory, and of the disk of a folder; zeros where none tells."""
    memory = disk = (0.0, 0.0)
    if LINUX:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="ascii").splitlines())
        free, whole = (int(lines.get(name, "0 kB").split()[0]) / 1024 for name in ("MemAvailable", "MemTotal"))
        memory = (free, whole)
    if LINUX and folder is not None:
        status = os.statvfs(folder)
        disk = (status.f_bavail * status.f_frsize / 2**20, status.f_blocks * status.f_frsize / 2**20)
    return memory, disk
