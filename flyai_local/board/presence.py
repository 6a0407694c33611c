"""A lock that a process holds for as long as it lives, by which processes in other containers see that it does.

Two platforms may share one home and see different processes, each only those of its own container. A lock on a file
(https://pubs.opengroup.org/onlinepubs/9699919799/functions/fcntl.html) is seen by both, and ends with its holder.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from flyai_local.home import home

__all__ = ["held", "hold"]

FOLDER = "alive"
_held: dict[Path, int] = {}  # of this process; a lock ends when its file is closed anywhere in the process


def hold(name: str) -> None:
    """Hold the lock of that name from now on; those that nobody holds any more are cleared away."""
    path = _path(name)
    if path in _held:
        return
    path.parent.mkdir(exist_ok=True)
    for other in path.parent.iterdir():
        if other not in _held and other != path:
            held(other.name)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _locked(handle) and _stands(path, handle):
            _held[path] = handle
            return
        os.close(handle)  # it was cleared away by another process just now


def held(name: str) -> bool:
    """Whether a process holds the lock of that name; one that is free is removed."""
    path = _path(name)
    if path in _held:
        return True
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not _locked(handle):
            return True
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return False
    finally:
        os.close(handle)


def _path(name: str) -> Path:
    return home() / FOLDER / name.replace(os.sep, "_")


def _locked(handle: int) -> bool:
    import fcntl

    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _stands(path: Path, handle: int) -> bool:
    """Whether the file that was locked is still the one of that name."""
    try:
        return path.stat().st_ino == os.fstat(handle).st_ino
    except OSError:
        return False
