"""Decoded pictures of a table, kept in memory as far as it goes, and then in a file.

On the CPU decoding and shrinking cost more than augmenting: keeping uint8 pictures at the needed size brings a training loop from 0.85 of
the bare step to 0.95 to 1.0 of it. The check before training decodes every picture once; what it decoded stays here for training.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from recipe import crew, decode
from recipe.console import say
from recipe.errors import StuckPicture, UnreadablePicture
from recipe.free_memory import free_memory_mb
from recipe.machine import cores
from recipe.path_column import PathColumn
from recipe.picture_file import PictureFile, open_file

HANGS = 3  # pictures: so many are no bad luck, the drive is gone
Progress = Callable[[int, int], None]  # (pictures ready, pictures in all)


def default_workers() -> int:
    """Threads that prepare pictures: 1 on one or two cores (the update needs the other), else all but one, at most 8."""
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
            if self.disk_limit and self.file is None:  # the first that finds no room in memory: the others will be about as large
                self.file = open_file(self.folders, min(self.disk_limit, 2 * self.expected * image.nbytes))
                self.disk_limit = self.disk_limit if self.file else 0
            if self.file is not None and (kept := self.file.add(image)) is not None:
                self.images[path] = kept


class Pictures:
    """`pictures[row]` is the picture of a row, (h, w, 3) uint8 RGB with `min(h, w) == short_side`; treat it as read-only.

    Thread-safe. Pictures are kept in memory until `cache_mb` (2**20 bytes each) is used up, then in a file that is mapped into memory
    until `disk_mb` is; those beyond both are decoded at every access. The limits change the speed and never the pixels.
    """

    def __init__(
        self, paths: Sequence[Path], short_side: int, cache_mb: int | None = None, disk_mb: int = 0, folder: Path | None = None
    ) -> None:
        """`short_side` in pixels; `cache_mb=None` takes a quarter of the free memory, 0 keeps nothing there.

        Args:
            disk_mb: room in the file, within a quarter of the free disk; 0 makes none.
            folder: where the file is made; where it cannot be, in the system's folder for temporary files.
        """
        self.paths: Sequence[Path] = paths if isinstance(paths, PathColumn) else tuple(paths)
        self.short_side = short_side
        folders = [*([] if folder is None else [folder]), Path(tempfile.gettempdir())]
        self._cache = _Cache((free_memory_mb() // 4 if cache_mb is None else cache_mb) * 2**20, disk_mb * 2**20, folders, len(self.paths))

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
            image = np.ascontiguousarray(decode.resize_short(decode.read(path), self.short_side))
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

    def load_all(self, progress: Progress | None = None, workers: int = 0) -> dict[int, Exception]:
        """Decodes every row once, in `workers` threads (0: one per core); the rows that failed, with the reason, in row order.

        A picture whose reading hangs for `crew.PATIENCE` seconds has failed as well.

        Raises:
            StuckPicture: too many hang.
        """
        failures: dict[int, Exception] = {}
        hangs = 0
        for row, failure in crew.each(self._try, range(len(self)), workers or cores(), "decode"):
            if isinstance(failure, crew.Hung):
                hangs, failure = hangs + 1, self._hung(row, hangs + 1)
            if failure is not None:
                failures[row] = failure
            if progress is not None:
                progress(row + 1, len(self))
        return failures

    def _hung(self, row: int, count: int) -> UnreadablePicture:
        reason = f"nothing came of it for {crew.PATIENCE:g} s"
        if count == HANGS:
            raise StuckPicture(
                f"{HANGS} pictures hang, {self.paths[row]} the last of them: {reason}. Their drive does not answer; copy them to another."
            )
        say(f"the picture {self.paths[row]} hangs: {reason}; the others are read on")
        return UnreadablePicture(str(self.paths[row]), reason)

    def _try(self, row: int) -> Exception | None:
        try:
            self[row]
        except (UnreadablePicture, FileNotFoundError) as failure:
            return failure
        return None
