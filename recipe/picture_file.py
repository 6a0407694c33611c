"""Decoded pictures in a file, mapped into memory: the kernel keeps of it what fits, and reading the rest is faster than decoding.

The file has no name (or loses it with the process), so a run that is killed leaves nothing behind, and no later run can find pictures
that have changed since.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
import weakref
from pathlib import Path

import numpy as np


class PictureFile:
    """Pictures of any size, one after another, up to a limit in bytes. Not for several writers at once."""

    def __init__(self, folder: Path, limit: int) -> None:
        """`limit` is at least 1. The file takes room as it fills, where the file system knows sparse files.

        Raises:
            OSError: no such file can be made in the folder.
        """
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  (lives as long as this object)
        weakref.finalize(self, self._file.close)
        self._file.truncate(limit)
        self._map = mmap.mmap(self._file.fileno(), limit, access=mmap.ACCESS_READ)
        self.limit, self.used = limit, 0

    def add(self, image: np.ndarray) -> np.ndarray | None:
        """The picture as it now lies in the file, read-only; None where there is no room, and then nothing is ever added again."""
        try:
            if self.used + image.nbytes > self.limit or self._write(image) < image.nbytes:
                raise OSError("no room")
        except OSError:  # the disk is full, or the limit is reached
            self.limit = 0
            return None
        kept = np.frombuffer(self._map, np.uint8, image.size, self.used).reshape(image.shape)
        self.used += image.nbytes
        return kept

    def _write(self, image: np.ndarray) -> int:
        self._file.seek(self.used)
        return self._file.write(np.ascontiguousarray(image).data) or 0


def open_file(folders: list[Path], limit: int) -> PictureFile | None:
    """A file in the first of the folders that takes one, within a quarter of the free disk there; None where none does."""
    for folder in folders:
        try:
            room = min(limit, shutil.disk_usage(folder).free // 4)
            if room > 0:
                return PictureFile(folder, room)
        except (OSError, ValueError):
            continue
    return None
