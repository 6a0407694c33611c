"""Folders that strangers have filled: measured, copied and removed, however deep, long-named or locked they are.

Nothing here follows a link, opens a pipe or depends on the length of a path. All processes that could change the folder
are gone, or their changes only make a figure inexact.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from protocol.language import tr

__all__ = ["FolderError", "Use", "copied", "removed", "use"]

MOST_ENTRIES = 200_000  # of a folder that is copied
MOST_LEVELS = 64
CHUNK = 2**24
OPEN_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
OPEN_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
Leave = Callable[[str, Path], bool]


class FolderError(OSError):
    """A folder that is beyond every honest use; the text says how."""


class Use(NamedTuple):
    """What a folder takes: bytes on the disk, and files and folders."""

    bytes: int
    entries: int


def use(folder: Path) -> Use:
    """What `folder` takes; holes of sparse files do not count, a hard link counts once, a locked folder is opened.

    Below the length that a path may have, folders are reached one by one, so depth hides nothing.
    """
    count, entries, seen = 0, 0, set()
    for status in _statuses(folder):
        entries += 1
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
        count += getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
    return Use(count, entries)


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    """Status of everything below a folder, with one open folder at a time; what vanishes is passed over."""
    if os.name == "nt":
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):
                yield path.lstat()
        return
    try:
        handle, names = _entered(str(folder), None)
    except OSError:
        return
    above: list[tuple[list[str], int]] = []  # names still to visit in each folder on the way here, and which it is
    try:
        while names or above:
            if not names:
                names, number = above.pop()
                handle = _exchanged(handle, os.open("..", OPEN_FOLDER, dir_fd=handle))
                if os.fstat(handle).st_ino != number:  # it was moved away meanwhile; the next look will see it
                    return
                continue
            name = names.pop()
            with contextlib.suppress(OSError):
                status = os.stat(name, dir_fd=handle, follow_symlinks=False)
                yield status
                if stat.S_ISDIR(status.st_mode):
                    inner, inside = _entered(name, handle)
                    above.append((names, os.fstat(handle).st_ino))
                    handle, names = _exchanged(handle, inner), inside
    except OSError:
        return
    finally:
        os.close(handle)


def _exchanged(old: int, new: int) -> int:
    os.close(old)
    return new


def _entered(name: str, parent: int | None) -> tuple[int, list[str]]:
    """A folder's handle and the names in it; a folder of ours that nobody may read is unlocked first."""
    try:
        handle = os.open(name, OPEN_FOLDER, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent)
        handle = os.open(name, OPEN_FOLDER, dir_fd=parent)
    try:
        return handle, os.listdir(handle)  # noqa: PTH208
    except OSError:
        os.close(handle)
        raise


def copied(source: Path, target: Path, leave: Leave = lambda name, folder: False) -> int:
    """Copy regular files, folders and links (as links) into the empty or missing `target`; returns how many entries.

    Times stay; attributes, owners and special files do not. Holes stay holes, and a file of several names stays one, so
    the copy takes no more than the source.

    Args:
        leave: true for a name in a folder (relative to `source`) that is not copied.

    Raises:
        FolderError: more than MOST_ENTRIES entries or MOST_LEVELS levels.
    """
    target.mkdir(parents=True, exist_ok=True)
    twins: dict[tuple[int, int], Path] = {}
    waiting, count = [Path()], 0
    while waiting:
        folder = waiting.pop()
        if len(folder.parts) > MOST_LEVELS:
            raise FolderError(tr("folders are nested more than {most_levels} levels deep", most_levels=MOST_LEVELS))
        for name in _names(source / folder):
            if leave(name, folder):
                continue
            count += 1
            if count > MOST_ENTRIES:
                raise FolderError(tr("there are more than {most_entries} files and folders", most_entries=MOST_ENTRIES))
            if _copied_one(source / folder / name, target / folder / name, twins):
                waiting.append(folder / name)
    return count


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except PermissionError:
        folder.chmod(0o700)
        return os.listdir(folder)  # noqa: PTH208


def _copied_one(source: Path, target: Path, twins: dict[tuple[int, int], Path]) -> bool:
    """Copy one entry; true for a folder, whose content is still to be copied."""
    status = source.lstat()
    if stat.S_ISDIR(status.st_mode):
        target.mkdir()
        return True
    if stat.S_ISLNK(status.st_mode):
        target.symlink_to(source.readlink())
    elif stat.S_ISREG(status.st_mode):
        twin = twins.setdefault((status.st_dev, status.st_ino), target) if status.st_nlink > 1 else target
        if twin is target:
            _copied_file(source, target, status)
        else:
            os.link(twin, target)
    return False


def _copied_file(source: Path, target: Path, status: os.stat_result) -> None:
    if not status.st_mode & stat.S_IRUSR:
        source.chmod(0o600)
    reading = os.open(source, OPEN_FILE)
    with open(reading, "rb") as old, target.open("xb") as new:
        for start, end in _pieces(reading, status.st_size):
            old.seek(start)
            new.seek(start)
            while start < end and (piece := old.read(min(CHUNK, end - start))):
                start += new.write(piece)
        new.truncate(status.st_size)
    target.chmod(status.st_mode & 0o755 | 0o600)
    with contextlib.suppress(OSError, OverflowError):  # a time that this file system does not know
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _pieces(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """Begin and end of the parts of a file that hold data."""
    if not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    at = 0
    while at < size:
        try:
            at = os.lseek(handle, at, os.SEEK_DATA)
            end = os.lseek(handle, at, os.SEEK_HOLE)
        except OSError:  # only a hole is left
            return
        yield at, end
        at = end


def removed(folder: Path) -> None:
    """Remove a folder and all in it; one that is not there, or a link, is no error.

    Folders are entered and left one by one, so that no depth and no length of a path is in the way.
    """
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    if not folder.exists():
        return
    if os.name == "nt":
        shutil.rmtree(folder, ignore_errors=True)
        return
    handle, names = _entered(str(folder), None)
    above: list[tuple[list[str], str]] = []  # names still to visit in each folder on the way here, and its own name
    try:
        while names or above:
            if not names:
                names, own = above.pop()
                handle = _exchanged(handle, os.open("..", OPEN_FOLDER, dir_fd=handle))
                os.rmdir(own, dir_fd=handle)
            elif stat.S_ISDIR(os.stat(names[-1], dir_fd=handle, follow_symlinks=False).st_mode):
                own = names.pop()
                os.chmod(own, 0o700, dir_fd=handle)
                inner, inside = _entered(own, handle)
                above.append((names, own))
                handle, names = _exchanged(handle, inner), inside
            else:
                os.unlink(names.pop(), dir_fd=handle)
    finally:
        os.close(handle)
    with contextlib.suppress(FileNotFoundError):  # another process removes it too
        folder.rmdir()
