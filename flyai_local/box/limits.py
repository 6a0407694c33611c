"""What a run may use, and what became of it. The figures are local policy: the platform never published its own."""

from __future__ import annotations

import os
from dataclasses import dataclass

from flyai_local.states import Code

__all__ = ["EVALUATE", "INSTALL", "TEST", "TRAIN", "Limits", "Outcome", "machine_memory_mb"]


@dataclass(frozen=True)
class Limits:
    """Upper bounds of one phase, for all its processes together where it says "all"."""

    seconds: float  # wall clock
    memory_mb: float  # all processes, shared pages counted once
    processes: int  # all
    file_mb: int  # largest single file
    disk_mb: float  # all that the phase wrote
    log_mb: float  # all that it printed
    files: int = 200_000  # and folders, all that it made

    @property
    def tasks(self) -> int:
        """Processes and threads, all: numerical libraries start a thread per core."""
        return 8 * self.processes


LAST_SIGNAL = 64


@dataclass(frozen=True)
class Outcome:
    """How a phase ended: by itself with `returncode`, or at the limit that `ended_by` names."""

    returncode: int
    ended_by: Code | None
    seconds: float
    peak_mb: float  # highest memory that was seen, sampled ten times a second
    disk_mb: float

    @property
    def signal(self) -> int:
        """Number of the signal that ended the command, 0 when it ended by itself, with an exit code like 255 too."""
        number = self.returncode - 128 if self.returncode > 128 else max(-self.returncode, 0)
        return number if number <= LAST_SIGNAL else 0


def machine_memory_mb() -> float:
    """Physical memory of this machine in MB; 16384 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    except (AttributeError, ValueError, OSError):
        return 16384.0


MEMORY_MB = round(0.8 * machine_memory_mb())
TRAIN = Limits(seconds=24 * 3600, memory_mb=MEMORY_MB, processes=256, file_mb=8192, disk_mb=32768, log_mb=64)
TEST = Limits(seconds=1800, memory_mb=MEMORY_MB, processes=256, file_mb=8192, disk_mb=32768, log_mb=16)
EVALUATE = Limits(seconds=7200, memory_mb=MEMORY_MB, processes=256, file_mb=8192, disk_mb=8192, log_mb=16)
INSTALL = Limits(seconds=3600, memory_mb=MEMORY_MB, processes=256, file_mb=8192, disk_mb=32768, log_mb=16)
