"""Process trees: who descends from whom, what memory they use, and how all of them are ended.

Linux answers from `/proc`, other POSIX systems from `ps`. Windows gives no answer here (an empty table): there the
memory and process limits are not held, and a tree is ended by `taskkill`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from flyai_local.box.seccomp import filters_of

__all__ = [
    "Process",
    "become_reaper",
    "descendants",
    "end",
    "end_adopted",
    "end_marked",
    "new_shared_files_mb",
    "page_tables_mb",
    "shared_files_mb",
    "shared_memory_mb",
    "snapshot",
    "threads_of_user",
    "unlinked_bytes",
]

PROC = Path("/proc")
LINUX = sys.platform.startswith("linux")
PAGE_MB = (os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096) / 2**20
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
ROUNDS = 200  # of freezing and killing; a tree that forks faster than it is frozen is tried this often


class Process(NamedTuple):
    """One line of the process table; memory is the resident set in MB."""

    parent: int
    memory_mb: float
    zombie: bool
    threads: int = 1


def snapshot() -> dict[int, Process]:
    """Every process that can be seen, by its id; empty on Windows."""
    if LINUX:
        entries = ((int(name), _stat(int(name))) for name in os.listdir(PROC) if name.isdigit())  # noqa: PTH208
        return {pid: process for pid, process in entries if process}
    return {} if os.name == "nt" else _from_ps()


def descendants(root: int, table: dict[int, Process] | None = None) -> list[int]:
    """Ids of the children, grandchildren and so on of `root`, without `root` itself; zombies are not counted."""
    table = snapshot() if table is None else table
    children: dict[int, list[int]] = {}
    for pid, process in table.items():
        children.setdefault(process.parent, []).append(pid)
    found, waiting = [], list(children.get(root, []))
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children.get(pid, []))
    return [pid for pid in found if not table[pid].zombie]


def shared_memory_mb(pids: list[int], table: dict[int, Process], files_mb: float = 0.0) -> float:
    """Memory of several processes in MB, each shared page counted once (proportional set size).

    The sum of the resident sets counts a page once per process that maps it, so a loader with eight forked workers
    seems to use nine times what it uses. A process that does not let itself be looked at counts with its resident set.

    Args:
        files_mb: what files in shared memory take; the part of it that nobody maps is added.
    """
    total, mapped = 0.0, 0.0
    for pid in pids:
        found = _proportional_kb(pid)
        total += table[pid].memory_mb if found is None else found[0] / 1024
        mapped += 0 if found is None else found[1] / 1024
    return total + max(0.0, files_mb - mapped)


def shared_files_mb(pids: list[int]) -> float:
    """What the files in /dev/shm take, as the first of these processes that can be looked at sees it."""
    for pid in pids:
        try:
            status = os.statvfs(PROC / str(pid) / "root" / "dev" / "shm")
        except OSError:
            continue
        return (status.f_blocks - status.f_bfree) * status.f_frsize / 2**20
    return 0.0


def page_tables_mb(pids: list[int]) -> float:
    """What the kernel keeps to map the memory of processes: a read of every second megabyte costs 4 KB and no page."""
    count = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in (PROC / str(pid) / "status").read_bytes().splitlines():
                count += int(line.split()[1]) if line.startswith(b"VmPTE:") else 0
    return count / 1024


def new_shared_files_mb(user: int, since: float) -> float:
    """What files in this machine's /dev/shm take that a user has made or changed since a moment (seconds since 1970).

    Which of his processes made them is not told, so those of another one that he runs beside a plain run count too.
    """
    count = 0
    for folder, _, names in os.walk("/dev/shm"):
        for name in names:
            with contextlib.suppress(OSError):
                status = os.lstat(os.path.join(folder, name))  # noqa: PTH118  by the hundred, ten times a second
                count += status.st_blocks * 512 if status.st_uid == user and status.st_ctime >= since else 0
    return count / 2**20


def unlinked_bytes(pids: list[int]) -> int:
    """Bytes of files that were deleted but are still open in `pids`: they fill a disk and stand in no folder."""
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        try:
            with os.scandir(PROC / str(pid) / "fd") as entries:
                for entry in entries:
                    status = entry.stat()
                    if status.st_nlink == 0:
                        found[status.st_dev, status.st_ino] = status.st_blocks * 512
        except OSError:  # the process has ended, or its descriptors are not ours to read
            continue
    return sum(found.values())


def threads_of_user(user: int) -> int:
    """Threads that a user runs on this machine (Linux)."""
    count = 0
    for entry in list(os.scandir(PROC)):  # a list, so that the folder is closed
        try:
            if entry.name.isdigit() and entry.stat().st_uid == user:
                count += int((PROC / entry.name / "stat").read_bytes().rpartition(b")")[2].split()[17])
        except OSError:  # the process has ended
            continue
    return count


def end(root: int) -> bool:
    """Freeze, then kill every descendant of `root` (not `root`); True when none is left.

    Freezing first matters: a process that forks while it is being looked for would escape a plain kill.
    """
    for _ in range(ROUNDS):
        _freeze(root)
        alive = descendants(root)
        for pid in alive:
            _send(pid, signal.SIGKILL)
        _reap()
        if not alive:
            return True
        time.sleep(0.01)
    return False


def end_marked(mark: str) -> int:
    """Kill the processes whose environment was started with the text `mark`; returns how many there were.

    A last resort for processes whose keeper was killed: they hang from process 1 and are nobody's descendants.
    """
    found = [pid for pid in snapshot() if pid != os.getpid() and _carries(pid, mark.encode())]
    for sign in (signal.SIGSTOP, signal.SIGKILL):
        for pid in found:
            _send(pid, sign)
    return len(found)


def become_reaper() -> None:
    """From now on, processes below this one whose parent ends are handed to this process and not to process 1."""
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_adopted() -> int:
    """Kill the processes of submissions that were handed to this one because their keeper was killed; returns how many.

    They are known by what nobody can take off: a filter of system calls more than this process carries.
    """
    if not LINUX:
        return 0
    own, table = filters_of((PROC / "self" / "status").read_text()), snapshot()
    found = [pid for pid, process in table.items() if process.parent == os.getpid() and _filters(pid) > own]
    _bury(table)
    for pid in found:
        for each in (pid, *descendants(pid, table)):
            _send(each, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    return len(found)


def _bury(table: dict[int, Process]) -> None:
    """Read the exit codes of sandboxes that were handed to this process when they had ended: nobody else will."""
    for pid, process in table.items():
        if process.zombie and process.parent == os.getpid():
            with contextlib.suppress(OSError):
                if (PROC / str(pid) / "comm").read_text().strip() == "bwrap":
                    os.waitpid(pid, os.WNOHANG)


def _filters(pid: int) -> int:
    try:
        return filters_of((PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return 0


def _freeze(root: int) -> None:
    frozen: set[int] = set()
    for _ in range(ROUNDS):
        fresh = set(descendants(root)) - frozen
        if not fresh:
            return
        for pid in fresh:
            _send(pid, signal.SIGSTOP)
        frozen |= fresh


def _send(pid: int, sign: int) -> None:
    try:
        os.kill(pid, sign)
    except (ProcessLookupError, PermissionError):  # it has ended meanwhile, or is a set-user-id program
        return


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return


def _stat(pid: int) -> Process | None:
    try:
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        return Process(int(fields[1]), int(fields[21]) * PAGE_MB, fields[0] in (b"Z", b"X"), int(fields[17]))
    except (OSError, IndexError, ValueError):  # it has ended between the listing and the reading
        return None


def _from_ps() -> dict[int, Process]:
    listing = subprocess.run(["ps", "-axo", "pid=,ppid=,rss=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 3) for line in listing.splitlines())
    return {
        int(row[0]): Process(int(row[1]), int(row[2]) / 1024, row[3].startswith("Z")) for row in rows if len(row) == 4
    }


def _proportional_kb(pid: int) -> tuple[int, int] | None:
    """Proportional set of a process, and the part of it that lies in shared memory; None where it is not told."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_bytes().splitlines()
    except OSError:
        return None
    sizes = {line.split(b":")[0]: int(line.split()[1]) for line in lines if line.endswith(b"kB")}
    return (sizes[b"Pss"], sizes.get(b"Pss_Shmem", 0)) if b"Pss" in sizes else None


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return mark in (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
