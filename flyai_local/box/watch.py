"""Watches one process tree and ends it at the first limit it passes.

Where the machine has control groups, the kernel holds memory and tasks, and this only names the limit. What polling can
miss for a tenth of a second is bounded elsewhere too: one file by RLIMIT_FSIZE, /dev/shm by its size, tasks by
RLIMIT_NPROC (for users other than root).
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

from flyai_local.box import folders as measured
from flyai_local.box import space as file_system
from flyai_local.box.cgroups import Group
from flyai_local.box.limits import Limits, Outcome
from flyai_local.box.logs import Log
from flyai_local.box.processes import (
    LINUX,
    Process,
    descendants,
    end_adopted,
    end_marked,
    new_shared_files_mb,
    page_tables_mb,
    shared_files_mb,
    shared_memory_mb,
    snapshot,
    unlinked_bytes,
)
from flyai_local.box.reserve import Reserve
from flyai_local.states import Code

__all__ = ["Watch"]

POLL_SECONDS = 0.1
GRACE_SECONDS = 10.0
DISK_SECONDS = 1.0  # at least; a large folder is measured at most a tenth of the time


class Watch(threading.Thread):
    """Thread that lives as long as the process it watches.

    Args:
        process: the keeper of the tree (`supervise`), or the command itself on Windows.
        limits: what the tree may use.
        log: asked whether it is full.
        folders: what the tree may write to; bytes that lie there already do not count.
        mark: text in the environment of every process of the tree. Where the keeper itself was killed, its orphans are
            found by it and ended at once.
        group: the control group of the tree, if there is one.
        sandboxed: the tree has a /dev/shm of its own.
        space: the file system of its own that holds the folders, which is asked instead of looking into them.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        limits: Limits,
        log: Log,
        folders: tuple[Path, ...],
        mark: str,
        group: Group | None = None,
        sandboxed: bool = False,
        space: Path | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self._process, self._limits, self._log, self._folders, self._mark = process, limits, log, folders, mark
        self._ended_by: Code | None = None
        self._stopping = threading.Event()
        self._began, self._since = time.monotonic(), time.time()
        self._seconds = 0.0
        self._peak_mb = 0.0
        self._largest_sum_mb = 0.0
        self._disk_mb = 0.0
        self._group, self._sandboxed, self._space = group, sandboxed, space
        self._files = 0
        self._reserve = Reserve(folders[0] if space is None else None)
        self._at_start = self._use()
        self._disk_due = self._began + DISK_SECONDS

    def run(self) -> None:
        """Look until the process has ended, then measure the disk a last time."""
        while self._process.poll() is None:
            self._ended_by = self._passed()
            if self._ended_by or self._stopping.is_set():
                end_tree(self._process)
                break
            time.sleep(POLL_SECONDS)
        wait_for_end(self._process)
        exhausted = self._group is not None and self._group.out_of_memory()
        if exhausted:  # the kernel held it there
            self._peak_mb = max(self._peak_mb, float(self._limits.memory_mb))
        if self._group is not None:
            self._group.end()
        if LINUX:
            end_marked(self._mark)
            end_adopted()
        self._seconds = time.monotonic() - self._began
        self._measure_disk([])
        if self._ended_by is None and exhausted:
            self._ended_by = Code.OUT_OF_MEMORY
        if self._ended_by is None and self._too_much_written():
            self._ended_by = Code.DISK_LIMIT
        if self._ended_by is None and self._log.full:
            self._ended_by = Code.LOG_LIMIT

    def stop(self) -> None:
        """Ask for the end of the tree."""
        self._stopping.set()

    def outcome(self, returncode: int) -> Outcome:
        """What became of the tree; asked after the thread has ended."""
        return Outcome(returncode, self._ended_by, self._seconds, self._peak_mb, self._disk_mb)

    def _passed(self) -> Code | None:
        """The first limit that the tree is beyond, or None."""
        if time.monotonic() - self._began > self._limits.seconds:
            return Code.TIME_LIMIT
        if self._log.full:
            return Code.LOG_LIMIT
        table = snapshot()
        pids = descendants(self._process.pid, table)
        if len(pids) > self._limits.processes or sum(table[pid].threads for pid in pids) > self._limits.tasks:
            return Code.PROCESS_LIMIT
        killed = self._group is not None and self._group.out_of_memory()  # by the kernel, between two looks
        if self._memory_mb(pids, table) > self._limits.memory_mb or killed:
            return Code.OUT_OF_MEMORY
        if self._space is not None or time.monotonic() >= self._disk_due:
            self._measure_disk(pids)
        return Code.DISK_LIMIT if self._too_much_written() else self._reserve.passed()

    def _too_much_written(self) -> bool:
        return self._disk_mb > self._limits.disk_mb or self._files > self._limits.files

    def _memory_mb(self, pids: list[int], table: dict[int, Process]) -> float:
        """Memory now. The sum of the resident sets bounds it from above and is cheap; the exact figure is asked for
        only when that sum is a new maximum or beyond the limit."""
        files_mb = self._shared_files_mb(pids) if LINUX else 0.0
        tables_mb = page_tables_mb(pids) if LINUX and self._group is None else 0.0
        sum_mb = sum(table[pid].memory_mb for pid in pids) + files_mb + tables_mb
        if sum_mb <= max(1.02 * self._largest_sum_mb, 1.0) and sum_mb <= self._limits.memory_mb:
            return 0.0
        self._largest_sum_mb = max(sum_mb, self._largest_sum_mb)
        exact = shared_memory_mb(pids, table, files_mb) + tables_mb or sum_mb
        self._peak_mb = max(self._peak_mb, exact)
        return exact

    def _shared_files_mb(self, pids: list[int]) -> float:
        """What lies in /dev/shm: the tree's own, or, in a plain process that no group holds, what is new in it."""
        if self._sandboxed:
            return shared_files_mb(pids[::-1])
        return 0.0 if self._group is not None else new_shared_files_mb(os.getuid(), self._since)

    def _measure_disk(self, pids: list[int]) -> None:
        began, used = time.monotonic(), self._use()
        unlinked = 0 if self._space is not None else unlinked_bytes(pids)
        self._disk_mb = max(0.0, (used.bytes + unlinked - self._at_start.bytes) / 2**20)
        self._files = used.entries - self._at_start.entries
        self._disk_due = time.monotonic() + max(DISK_SECONDS, 10 * (time.monotonic() - began))

    def _use(self) -> measured.Use:
        if self._space is not None:
            return file_system.use(self._space)
        uses = [measured.use(folder) for folder in self._folders]
        return measured.Use(sum(use.bytes for use in uses), sum(use.entries for use in uses))


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process and all below it: its keeper does that when it is told to stop; Windows has a program for it."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True)
    else:
        process.terminate()


def wait_for_end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that has been told to end; one that does not is killed."""
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
