"""Whether the process that owns a run is still the same living process.

A process id alone is given away again after a crash or a restart; together with the moment the process began it is not.
In another container the same id is another process's: there a lock tells (`presence`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from flyai_local.board.presence import held, hold

ANSWER_SECONDS = 10


def process_mark(pid: int) -> str | None:
    """A text that stays the same for the life of a process and never comes back; None when no such process runs.

    A zombie counts as gone: it is only an exit code that nobody has read yet.
    """
    if sys.platform.startswith("linux"):
        return _linux(pid)
    if sys.platform == "win32":
        return _windows(pid)
    return _posix(pid)


def alive(pid: int, mark: str) -> bool:
    """Whether the process with that id and mark still runs, in this container or in another one on this machine."""
    if sys.platform.startswith("linux") and len(words := mark.split()) == 3 and words[2] != _namespace():
        return words[0] == _boot() and held(_name(pid, mark))
    return process_mark(pid) == mark


def own_mark() -> tuple[int, str]:
    """Id and mark of this process."""
    pid = os.getpid()
    mark = process_mark(pid)
    if mark is None:
        raise RuntimeError(f"this system does not tell when process {pid} began (no /proc, no ps)")
    if sys.platform.startswith("linux"):
        hold(_name(pid, mark))
    return pid, mark


def _name(pid: int, mark: str) -> str:
    return f"{pid} {mark}"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _namespace() -> str:
    """Which processes this process sees."""
    return str(Path("/proc/self/ns/pid").stat().st_ino)


def _linux(pid: int) -> str | None:
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot, seen_from = _boot(), _namespace()
    except OSError:
        return None
    fields = line.rsplit(")", 1)[1].split()  # the command's name before it may hold spaces and brackets
    state, ticks_since_boot = fields[0], fields[19]
    return None if state in "ZX" else f"{boot} {ticks_since_boot} {seen_from}"


def _posix(pid: int) -> str | None:
    found = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        timeout=ANSWER_SECONDS,
        env={"PATH": "/bin:/usr/bin", "LC_ALL": "C"},
        check=False,
    )
    state, _, began = found.stdout.strip().partition(" ")
    return None if not began or state.startswith("Z") else began.strip()


def _windows(pid: int) -> str | None:
    import ctypes
    from ctypes import wintypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
    kernel.OpenProcess.restype = wintypes.HANDLE
    kernel.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
    query_limited_information, still_active = 0x1000, 259
    handle = kernel.OpenProcess(query_limited_information, False, pid)
    if not handle:
        return None
    try:
        code, times = wintypes.DWORD(), [wintypes.FILETIME() for _ in range(4)]
        kernel.GetExitCodeProcess(wintypes.HANDLE(handle), ctypes.byref(code))
        if code.value != still_active:
            return None
        kernel.GetProcessTimes(wintypes.HANDLE(handle), *map(ctypes.byref, times))
        return f"{times[0].dwHighDateTime} {times[0].dwLowDateTime}"
    finally:
        kernel.CloseHandle(wintypes.HANDLE(handle))
