"""Control groups: the kernel itself holds memory and tasks of one command, and ends all of it at once.

Three ways, the first that works: a group of version 2 beside this process or at the top (root, or where it was
delegated); a scope of the user's systemd; groups of version 1. https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Group", "kind", "made"]

PREFIX = "flyai-"
MOUNTS = Path("/proc/self/mountinfo")
OWN = Path("/proc/self/cgroup")
PATIENCE_SECONDS = 5.0
JOINING_SECONDS = 60.0  # a command joins its group well within this
WEIGHT = 10  # of 100, where groups are weighed against each other: a host's pages and shell come before any run
OPTIONAL = ("sw", "weight")
SLACK_MB = 32  # for the keeper of the command
Settings = Callable[[int, int], dict[str, str]]  # files and their values, from bytes and tasks


@dataclass
class Group:
    """The group of one command.

    Args:
        kind: "v2", "v1" or "scope".
        folders: of the group, which a process joins by writing its id into `cgroup.procs`; empty for a scope.
        line: words before the command that put it into its scope.
    """

    kind: str
    folders: list[Path] = field(default_factory=list)
    line: list[str] = field(default_factory=list)

    def found(self, pid: int) -> None:
        """Learn which group a scope has become, from a process in it."""
        if self.kind == "scope":
            with contextlib.suppress(OSError, StopIteration):
                own = next(line for line in _lines(Path(f"/proc/{pid}/cgroup")) if line.startswith("0::"))
                path = next(mount for mount, kinds in _mounts() if kinds == "cgroup2") / own[3:].strip("/")
                self.folders = [path] if path.name.startswith(PREFIX) else []

    def peak_mb(self) -> float:
        """Highest memory so far, with what of files is kept in memory; 0.0 where the kernel does not tell."""
        return self._number("memory.peak", "memory.max_usage_in_bytes") / 2**20

    def out_of_memory(self) -> bool:
        """Whether the kernel ended a process because the group's memory was used up."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                with contextlib.suppress(OSError, ValueError):
                    words = dict(line.split() for line in _lines(folder / name))
                    if int(words.get("oom_kill", 0)):
                        return True
        return False

    def end(self) -> None:
        """Kill whatever is still in the group, wherever it has hidden itself, and remove the group."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until and any(self._kill(folder) for folder in self.folders):
            time.sleep(0.02)
        for folder in self.folders:
            with contextlib.suppress(OSError):
                folder.rmdir()

    @staticmethod
    def _kill(folder: Path) -> bool:
        """Whether there was something left to kill."""
        try:
            pids = [int(line) for line in _lines(folder / "cgroup.procs")]
        except OSError:  # it is gone
            return False
        with contextlib.suppress(OSError):
            (folder / "cgroup.kill").write_text("1")
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def _number(self, *names: str) -> float:
        for folder in self.folders:
            for name in names:
                with contextlib.suppress(OSError, ValueError):
                    return float((folder / name).read_text())
        return 0.0


def made(memory_mb: float, tasks: int) -> Group | None:
    """A fresh group with these limits; None where this process may make none."""
    way = kind()
    name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
    if way == "scope":
        limits = [f"MemoryMax={int(memory_mb + SLACK_MB)}M", "MemorySwapMax=0", f"TasksMax={tasks}"]
        limits.append(f"CPUWeight={WEIGHT}")
        return Group(way, line=[*_scope(name), *(word for limit in limits for word in ("-p", limit))])
    if way is None:
        return None
    group = Group(way)
    try:
        for parent, files in _parents(way):
            folder = parent / name
            folder.mkdir()
            group.folders.append(folder)
            for file, value in files(int((memory_mb + SLACK_MB) * 2**20), tasks).items():
                _set(folder / file, value)
    except OSError:
        group.end()
        return None
    return group


@functools.cache
def kind() -> str | None:
    """The way in which this process can make control groups: "v2", "scope", "v1" or None."""
    if not sys.platform.startswith("linux"):
        return None
    for way in ("v2", "scope", "v1"):
        if way == "scope":
            if _scope_works():
                return way
        elif _parents(way) and _tried(way):
            return way
    return None


def _tried(way: str) -> bool:
    """Whether a group of this kind can be made and removed; remnants of killed platforms are removed too."""
    for parent, _ in _parents(way):
        for old in filter(_left_behind, parent.glob(f"{PREFIX}*")):
            with contextlib.suppress(OSError):  # something is still at work in it
                old.rmdir()
        trial = parent / f"{PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
        try:
            trial.mkdir()
            joining = subprocess.run(["sh", "-c", 'echo $$ > "$0"', trial / "cgroup.procs"], capture_output=True)
            trial.rmdir()
        except OSError:
            return False
        if joining.returncode:
            return False
    return True


def _left_behind(folder: Path) -> bool:
    """Whether the platform that made a group is gone: a group is empty before its command joins, and no remnant then.

    A platform in another container counts as gone, so its group must be older than the moment that joining takes.
    """
    owner = folder.name.removeprefix(PREFIX).partition("-")[0]
    with contextlib.suppress(OSError):
        return not Path("/proc", owner).exists() and time.time() - folder.stat().st_mtime > JOINING_SECONDS
    return False


def _parents(way: str) -> list[tuple[Path, Settings]]:
    """Folders in which a group must be made, each with the limits to set there; empty where there are none."""
    return list(_version_2() if way == "v2" else _version_1())


def _version_2() -> Iterator[tuple[Path, Settings]]:
    top = next((mount for mount, kinds in _mounts() if kinds == "cgroup2"), None)
    own = next((line[3:].strip("/") for line in _lines(OWN) if line.startswith("0::")), None)
    if top is None or own is None:
        return
    for parent in dict.fromkeys((top / own, top)):
        with contextlib.suppress(OSError):
            if {"memory", "pids"} <= set((parent / "cgroup.controllers").read_text().split()):
                (parent / "cgroup.subtree_control").write_text("+memory +pids")
                yield parent, _limits_2
                return


def _version_1() -> Iterator[tuple[Path, Settings]]:
    own = {names: path.strip("/") for _, names, path in (line.split(":", 2) for line in _lines(OWN)) if names}
    mounts = {name: mount for mount, kinds in _mounts() for name in kinds.split(",")}
    if {"memory", "pids"} <= own.keys() and {"memory", "pids"} <= mounts.keys():
        yield mounts["memory"] / own["memory"], _memory_1
        yield mounts["pids"] / own["pids"], _tasks


def _limits_2(memory: int, tasks: int) -> dict[str, str]:
    return {"memory.max": str(memory), "memory.swap.max": "0", "pids.max": str(tasks), "cpu.weight": str(WEIGHT)}


def _memory_1(memory: int, tasks: int) -> dict[str, str]:
    return {"memory.limit_in_bytes": str(memory), "memory.memsw.limit_in_bytes": str(memory)}


def _tasks(memory: int, tasks: int) -> dict[str, str]:
    return {"pids.max": str(tasks)}


def _set(file: Path, value: str) -> None:
    """Write a limit; that of swap is missing where the kernel does not count it, a weight where groups have none."""
    try:
        file.write_text(value)
    except OSError:
        if not any(word in file.name for word in OPTIONAL):
            raise


def _scope(name: str) -> list[str]:
    user = [] if os.getuid() == 0 else ["--user"]
    return ["systemd-run", *user, "--scope", "--quiet", "--collect", f"--unit={name}"]


def _scope_works() -> bool:
    if shutil.which("systemd-run") is None or not Path("/run/systemd/system").is_dir():
        return False
    try:
        trial = [*_scope(f"{PREFIX}{os.getpid()}-{secrets.token_hex(6)}"), "-p", "MemoryMax=64M", "true"]
        return subprocess.run(trial, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _mounts() -> list[tuple[Path, str]]:
    """Mounted hierarchies: where, and "cgroup2" or the controllers of version 1."""
    found = []
    for line in _lines(MOUNTS):
        before, _, after = line.partition(" - ")
        kind_of, _, options = after.split(" ", 2)
        if kind_of == "cgroup2":
            found.append((Path(before.split()[4]), "cgroup2"))
        elif kind_of == "cgroup":
            found.append((Path(before.split()[4]), options))
    return found


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines()
