"""Watches one process tree and ends it at the first limit it passes.

Polling, not control groups: a user may not make those on most machines. What a poll can miss for a tenth of a second is
bounded elsewhere: one file by RLIMIT_FSIZE, /dev/shm by its size, processes by RLIMIT_NPROC (for users other than
root).
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

from flyai_local.box.limits import Limits, Outcome
from flyai_local.box.logs import Log
from flyai_local.box.processes import LINUX, descendants, end_marked, shared_memory_mb, snapshot, unlinked_bytes
from flyai_local.states import Code

__all__ = ["Watch", "folder_bytes"]

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
    """

    def __init__(
        self, process: subprocess.Popen[bytes], limits: Limits, log: Log, folders: tuple[Path, ...], mark: str
    ) -> None:
        super().__init__(daemon=True)
        self._process, self._limits, self._log, self._folders, self._mark = process, limits, log, folders, mark
        self._ended_by: Code | None = None
        self._stopping = threading.Event()
        self._began = time.monotonic()
        self._seconds = 0.0
        self._peak_mb = 0.0
        self._largest_sum_mb = 0.0
        self._disk_mb = 0.0
        self._disk_at_start = sum(folder_bytes(folder) for folder in folders)
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
        if LINUX:
            end_marked(self._mark)
        self._seconds = time.monotonic() - self._began
        self._measure_disk([])
        if self._ended_by is None and self._disk_mb > self._limits.disk_mb:
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
        if len(pids) > self._limits.processes:
            return Code.PROCESS_LIMIT
        if self._memory_mb(pids, sum(table[pid].memory_mb for pid in pids)) > self._limits.memory_mb:
            return Code.OUT_OF_MEMORY
        if time.monotonic() >= self._disk_due:
            self._measure_disk(pids)
        return Code.DISK_LIMIT if self._disk_mb > self._limits.disk_mb else None

    def _memory_mb(self, pids: list[int], sum_mb: float) -> float:
        """Memory now. The sum of the resident sets bounds it from above and is cheap; the exact figure is asked for
        only when that sum is a new maximum or beyond the limit."""
        if sum_mb <= max(1.02 * self._largest_sum_mb, 1.0) and sum_mb <= self._limits.memory_mb:
            return 0.0
        self._largest_sum_mb = max(sum_mb, self._largest_sum_mb)
        exact = shared_memory_mb(pids) or sum_mb
        self._peak_mb = max(self._peak_mb, exact)
        return exact

    def _measure_disk(self, pids: list[int]) -> None:
        began = time.monotonic()
        count = sum(folder_bytes(folder) for folder in self._folders) + unlinked_bytes(pids)
        self._disk_mb = max(0.0, (count - self._disk_at_start) / 2**20)
        self._disk_due = time.monotonic() + max(DISK_SECONDS, 10 * (time.monotonic() - began))


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


def folder_bytes(folder: Path) -> int:
    """Bytes that a folder takes on the disk; holes of sparse files do not count, links are not followed."""
    count, waiting = 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    status = entry.stat(follow_symlinks=False)
                    count += getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
        except OSError:  # it was removed meanwhile
            continue
    return count
