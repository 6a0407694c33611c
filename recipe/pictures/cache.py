"""Decoded pictures of a table, kept in memory as far as it goes, and then in a file.

On the CPU decoding and shrinking cost more than augmenting: keeping uint8 pictures at the needed size brings a training
loop from 0.85 of the bare step to 0.95 to 1.0 of it. The check before training decodes every picture once; what it
decoded stays here for training.

Decoded pictures in a file, mapped into memory: the kernel keeps of it what fits, and reading the rest is faster than
decoding.

The file has no name (or loses it with the process), so a run that is killed leaves nothing behind, and no later run can
find pictures that have changed since.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from protocol.language import tr
from recipe.pictures import decode
from recipe.pictures.errors import StuckPicture, UnreadablePicture
from recipe.pictures.paths import PathColumn
from recipe.system import threads as background
from recipe.system.console import say
from recipe.system.machine import cores
from recipe.system.memory import free_memory_mb
from recipe.system.processes.world import beside


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
        """The picture as it lies in the file, read-only; None where there is no room: nothing is added any more."""
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
    """A file in the first folder that takes one, within a quarter of the free disk there; None where none does."""
    for folder in folders:
        try:
            room = min(limit, shutil.disk_usage(folder).free // 4 // beside())
            if room > 0:
                return PictureFile(folder, room)
        except (OSError, ValueError):
            continue
    return None


HANGS = 3  # pictures: so many are no bad luck, the drive is gone
Progress = Callable[[int, int], None]  # (pictures ready, pictures in all)


def default_workers() -> int:
    """Threads that prepare pictures: 1 on one or two cores (the update needs the other), else all but one, <= 8."""
    return 1 if cores() <= 2 else min(8, cores() - 1)


class _Cache:
    """Pictures by path, in memory up to a limit in bytes and then in a file; safe to share among threads."""

    def __init__(self, limit: int, disk_limit: int, folders: list[Path], expected: int) -> None:
        self.limit, self.used = limit, 0
        self.disk_limit, self.folders, self.expected = disk_limit, folders, expected
        self.file: PictureFile | None = None
        self.images: dict[Path, np.ndarray] = {}
        self._lock = threading.Lock()

    def offer(self, path: Path, image: np.ndarray) -> None:
        """Keeps the picture if there is room for it."""
        with self._lock:
            if path in self.images:
                return
            if self.used + image.nbytes <= self.limit:
                self.images[path] = image
                self.used += image.nbytes
                return
            if (
                self.disk_limit and self.file is None
            ):  # the first that finds no room in memory: the others will be about as large
                self.file = open_file(self.folders, min(self.disk_limit, 2 * self.expected * image.nbytes))
                self.disk_limit = self.disk_limit if self.file else 0
            if self.file is not None and (kept := self.file.add(image)) is not None:
                self.images[path] = kept


class Pictures:
    """`pictures[row]` is a row's picture, (h, w, 3) uint8 RGB with `min(h, w) == short_side`; read-only.

    Thread-safe. Pictures are kept in memory until `cache_mb` (2**20 bytes each) is used up, then in a file that is
    mapped into memory until `disk_mb` is; those beyond both are decoded at every access. The limits change the speed
    and never the pixels.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        short_side: int,
        cache_mb: int | None = None,
        disk_mb: int = 0,
        folder: Path | None = None,
    ) -> None:
        """`short_side` in pixels; `cache_mb=None` takes a quarter of the free memory, 0 keeps nothing there.

        Args:
            disk_mb: room in the file, within a quarter of the free disk; 0 makes none.
            folder: where the file is made; where it cannot be, in the system's folder for temporary files.
        """
        self.paths: Sequence[Path] = paths if isinstance(paths, PathColumn) else tuple(paths)
        self.short_side = short_side
        folders = [*([] if folder is None else [folder]), Path(tempfile.gettempdir())]
        self._cache = _Cache(
            (free_memory_mb() // 4 // beside() if cache_mb is None else cache_mb) * 2**20,
            disk_mb * 2**20,
            folders,
            len(self.paths),
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> np.ndarray:
        """The picture of a row.

        Raises:
            UnreadablePicture, FileNotFoundError: as `decode.read`.
        """
        path = self.paths[row]
        image = self._cache.images.get(path)
        if image is None:
            image = np.ascontiguousarray(decode.read_short(path, self.short_side))
            self._cache.offer(path, image)
        return image

    @property
    def kept(self) -> int:
        """The number of rows whose picture need not be decoded again."""
        return sum(path in self._cache.images for path in self.paths)

    def of(self, paths: Sequence[Path]) -> Pictures:
        """The pictures of other rows (a fold, a checked table), sharing this cache and its limit."""
        other = Pictures(paths, self.short_side, cache_mb=0)
        other._cache = self._cache
        return other

    def load_all(
        self, progress: Progress | None = None, workers: int = 0, rows: Sequence[int] | None = None
    ) -> dict[int, Exception]:
        """Decodes every row once (of `rows`, by default of all), in `workers` threads (0: one per core); those that
        failed, with the reason.

        A picture whose reading hangs for `background.PATIENCE` seconds has failed as well.

        Raises:
            StuckPicture: too many hang.
        """
        failures: dict[int, Exception] = {}
        hangs = 0
        rows = range(len(self)) if rows is None else rows
        tried = background.each(self._try, rows, workers or cores(), "decode")
        for ready, (row, failure) in enumerate(tried, start=1):
            if isinstance(failure, background.Hung):
                hangs, failure = hangs + 1, self._hung(row, hangs + 1)
            if failure is not None:
                failures[row] = failure
            if progress is not None:
                progress(ready, len(rows))
        return failures

    def _hung(self, row: int, count: int) -> UnreadablePicture:
        reason = tr("nothing came of it for {patience:g} s", patience=background.PATIENCE)
        if count == HANGS:
            raise StuckPicture(
                tr(
                    "{hangs} pictures hang, {paths} the last of them: {reason}. Their drive does not answer; "
                    "copy them to another.",
                    hangs=HANGS,
                    paths=self.paths[row],
                    reason=reason,
                )
            )
        say(tr("the picture {paths} hangs: {reason}; the others are read on", paths=self.paths[row], reason=reason))
        return UnreadablePicture(str(self.paths[row]), reason)

    def _try(self, row: int) -> Exception | None:
        try:
            self[row]
        except (UnreadablePicture, FileNotFoundError) as failure:
            return failure
        return None
