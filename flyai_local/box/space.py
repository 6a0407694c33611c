"""A file system of its own for the work of a run: the kernel bounds its bytes and files, wherever they hide.

As root on Linux, a sparse ext4 image is mounted where only this thread and what it starts can see it, so it is gone
when the process is, however that ends (https://man7.org/linux/man-pages/man7/mount_namespaces.7.html). Others have
none: what their runs write is looked at once a second (`watch`).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from flyai_local.box.folders import Use

__all__ = ["IMAGE", "PLACE", "allow", "own", "use", "works"]

PLACE = Path("/run/flyai")  # each thread that runs a submission sees its own file system there
IMAGE = "work.img"
BALLAST = "ballast"  # takes what a phase may not have
SLACK_MB, SLACK_FILES = 8, 64  # beyond the limit, so that the limit is seen before the disk is full
GROUP_MB, GROUP_FILES = 128, 32000  # of ext4: files come in groups of so many a block group
CLONE_NEWNS, MS_REC, MS_SLAVE, MNT_DETACH = 0x20000, 0x4000, 0x80000, 2
OPTIONS = "loop,nosuid,nodev,noatime,discard,noinit_itable"
SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_thread = threading.local()


@contextlib.contextmanager
def own(image: Path, mb: float, files: int) -> Iterator[Path | None]:
    """Mount an empty file system for the body; its place, or None where this process may mount none.

    Args:
        image: the file that holds it; it is removed afterwards, with all that the body left there.
        mb: bytes that it can hold at most; `allow` says how many of them a phase may have.
        files: files and folders that it can hold.
    """
    if not works():
        yield None
        return
    try:
        _mounted(image, mb, files)
    except (OSError, subprocess.SubprocessError):
        _gone(image)
        yield None
        return
    try:
        yield PLACE
    finally:
        _gone(image)


def allow(place: Path, mb: float | None) -> None:
    """Leave free what a phase may write, and a little more: a file takes the rest. All is free with None."""
    handle = os.open(place / BALLAST, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.ftruncate(handle, 0)
        status = os.statvfs(place)
        spare = 0 if mb is None else status.f_bavail * status.f_frsize - int((mb + SLACK_MB) * 2**20)
        if spare > 0:
            os.posix_fallocate(handle, 0, spare)
    finally:
        os.close(handle)


def use(place: Path) -> Use:
    """What is in use there, with what stands in no folder: deleted files, open or on their way to a process."""
    status = os.statvfs(place)
    return Use((status.f_blocks - status.f_bfree) * status.f_frsize, status.f_files - status.f_ffree)


@functools.cache
def works() -> bool:
    """Whether this process may make file systems and mount them: tried once, with a small one."""
    if not sys.platform.startswith("linux") or os.geteuid() or shutil.which("mkfs.ext4", path=SEARCHED) is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            _mounted(Path(folder, IMAGE), 4, 64)
        except (OSError, subprocess.SubprocessError):
            return False
        finally:
            _gone(Path(folder, IMAGE))
    return True


def _gone(image: Path) -> None:
    """Take away a file system, or what there is of one."""
    with contextlib.suppress(OSError):  # it was not mounted
        _call("umount2", str(PLACE).encode(), MNT_DETACH)
    image.unlink(missing_ok=True)


def _mounted(image: Path, mb: float, files: int) -> None:
    _have_own_mounts()
    PLACE.mkdir(mode=0o755, parents=True, exist_ok=True)
    files += SLACK_FILES
    size_mb = max(mb + 2 * SLACK_MB + files / 4000, 16, GROUP_MB * (files / GROUP_FILES))
    image.touch(0o600)
    os.truncate(image, int(size_mb * 2**20))
    features = "^has_journal,^resize_inode"
    _run("mkfs.ext4", "-q", "-F", "-O", features, "-m", "0", "-N", str(files), "-E", "lazy_itable_init=1", str(image))
    _run("mount", "-t", "ext4", "-o", OPTIONS, str(image), str(PLACE))
    PLACE.joinpath("lost+found").rmdir()


def _have_own_mounts() -> None:
    """Leave the mounts that other threads and processes see; what the machine mounts later is still seen here."""
    if getattr(_thread, "process", 0) != os.getpid():
        _call("unshare", CLONE_NEWNS)
        _call("mount", b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_SLAVE), None)
        _thread.process = os.getpid()


def _call(name: str, *words: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*words):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _run(program: str, *words: str) -> None:
    found = shutil.which(program, path=SEARCHED) or program
    subprocess.run([found, *words], check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
