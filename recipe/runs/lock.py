"""One run at a time in an output folder: a lock beside it, which the system releases when its holder dies."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from protocol.language import tr
from recipe.system.atomic import CheckpointError


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Holds a run folder during the block, also where this process holds it already.

    The lock lies beside the folder, since a new run moves an earlier one's folder aside. Where no file can be written
    there, nothing is held.

    Raises:
        CheckpointError: another run holds it; names that run.
    """
    from filelock import Timeout

    lock = _lock(folder)
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise CheckpointError(
            tr(
                "Another run is writing into {folder}: {holder}. Wait for its end, or choose another --output.",
                folder=folder,
                holder=holder(folder),
            )
        ) from None
    except OSError:
        yield
        return
    try:
        about = tr(
            "process {getpid} since {strftime}, {argv}",
            getpid=os.getpid(),
            strftime=time.strftime("%Y-%m-%d %H:%M:%S"),
            argv=shlex.join(sys.argv)[:200],
        )
        with contextlib.suppress(OSError):
            _note(folder).write_text(about, encoding="utf-8", errors="backslashreplace")
        yield
    finally:
        if lock.lock_counter == 1:
            _note(folder).unlink(missing_ok=True)
        lock.release()


def holder(folder: Path) -> str:
    """The run that writes into a folder, in words; empty where none does."""
    if not _note(folder).exists():  # to try the lock would hold it for a moment
        return ""
    from filelock import Timeout  # here: who answers alone needs no lock

    lock = _lock(folder)
    try:
        if lock.is_locked:  # by this process
            return ""
        with lock.acquire(timeout=0):
            _note(folder).unlink(missing_ok=True)  # its run was killed
            return ""
    except Timeout:
        with contextlib.suppress(OSError):
            return _note(folder).read_text(encoding="utf-8") or tr("a run")
        return tr("a run")
    except OSError:
        return ""


def _lock(folder: Path) -> Any:
    from filelock import FileLock

    return FileLock(_path(folder), is_singleton=True)


def _path(folder: Path) -> Path:
    whole = folder.absolute()
    return whole.with_name(f".{whole.name}.lock")


def _note(folder: Path) -> Path:
    return _path(folder).with_suffix(".holder")
