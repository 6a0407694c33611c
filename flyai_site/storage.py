"""Files by their SHA-256: archives, answers, data. Written once, never changed, streamed in and out."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from flyai_local.errors import UserError

__all__ = ["Arriving", "Incoming", "TooLargeError", "arrive", "blob", "folder", "keep_file", "sweep"]

CHUNK = 2**16
BODY = "body-"  # how the names of arriving files begin
JOINING_SECONDS = 60.0  # between the making of such a file and its lock, by far
HALF_A_DAY = 12 * 3600.0  # in which whatever else lies there is made or used
SPARE_MB = 256  # of the disk that uploads leave free


class TooLargeError(UserError):
    """A body of more bytes than is accepted."""


def folder(name: str = "") -> Path:
    """A folder of the site's, made if missing."""
    place: Path = settings.SITE.folder / name
    place.mkdir(parents=True, exist_ok=True)
    return place


def blob(sha256: str) -> Path:
    """Where the file of that hash lies, whether or not it is there.

    Raises:
        ValueError: the text is no SHA-256, so it can never name another path.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"{sha256[:80]!r} is not a SHA-256")
    return folder(f"blobs/{sha256[:2]}") / sha256


class Arriving(io.BufferedRandom):
    """A file that is hashed as it is written. Closed, it is gone, unless it was put in its place."""

    path: Path | None = None  # where it lies until it is put in its place

    def __init__(self, place: Path) -> None:
        handle, name = tempfile.mkstemp(dir=place, prefix=BODY)
        with contextlib.suppress(OSError):  # a drive without locks
            fcntl.flock(handle, fcntl.LOCK_EX)  # by which `sweep` knows that somebody is at it
        super().__init__(io.FileIO(handle, "r+"))  # type: ignore[arg-type]
        self.path = Path(name)
        self.size = 0
        self._hash = hashlib.sha256()

    def write(self, piece: Any) -> int:
        """Take the next piece, at the end."""
        self._hash.update(piece)
        self.size += len(piece)
        return super().write(piece)

    def settle(self) -> str:
        """See that the file is on the disk, which may take a while; returns its SHA-256."""
        if not self.closed:
            self.flush()
            os.fsync(self.fileno())
        return self._hash.hexdigest()

    def put(self, place: Path) -> None:
        """Give it its place: it stays."""
        if self.path is not None:
            self.path.replace(place)
            self.path = None
        self.close()

    def close(self) -> None:
        """Forget what has no place."""
        super().close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path = None


class Incoming:
    """A file that is arriving: hashed as it comes, kept under its hash or dropped without trace.

    Args:
        limit_bytes: more is refused.
        whole: a file that lies in the site's folder already, as the server received it: nothing is copied.
    """

    def __init__(self, limit_bytes: int, whole: Arriving | None = None) -> None:
        if whole is None and shutil.disk_usage(folder("incoming")).free < SPARE_MB * 2**20:
            raise UserError(_("The site's disk is full: tell the organiser. Nothing was taken."))
        self._file = whole or Arriving(folder("incoming"))
        self._limit = limit_bytes
        self._refuse_more()

    def write(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            TooLargeError: beyond the limit; the file is dropped.
        """
        self._refuse_more(len(piece))
        self._file.write(piece)

    def _refuse_more(self, coming: int = 0) -> None:
        if self.size + coming > self._limit:
            self.drop()
            raise TooLargeError(_("The file is larger than %(most)d MB.") % {"most": self._limit // 2**20})

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._file.size

    def settle(self) -> str:
        """See that the file is on the disk, which may take a while; returns its SHA-256."""
        return self._file.settle()

    def keep(self) -> tuple[str, int]:
        """Put the file in its place; returns SHA-256 and size in bytes."""
        sha256 = self.settle()
        self._file.put(blob(sha256))
        return sha256, self.size

    def path(self) -> Path:
        """The file as far as it came, for reading."""
        self._file.flush()
        assert self._file.path is not None, "it has been kept"
        return self._file.path

    def drop(self) -> None:
        """Forget the file."""
        self._file.close()


def sweep() -> None:
    """Remove what arrived by halves before somebody died over it: at once where a lock tells it, else after a while."""
    for file in folder("incoming").glob("*"):
        with contextlib.suppress(OSError), file.open("rb") as opened:
            age = time.time() - file.stat().st_mtime
            if age < HALF_A_DAY:
                if not file.name.startswith(BODY) or age < JOINING_SECONDS:
                    continue
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused where somebody is at it
            file.unlink()


def arrive(pieces: Iterable[bytes], limit_bytes: int) -> Incoming:
    """What comes piece by piece, to be kept or dropped."""
    arriving = Incoming(limit_bytes)
    try:
        for piece in pieces:
            arriving.write(piece)
    except BaseException:
        arriving.drop()
        raise
    return arriving


def keep_file(path: Path) -> str:
    """Keep a copy of a file; returns its SHA-256."""
    with path.open("rb") as source:
        return arrive(iter(lambda: source.read(CHUNK), b""), path.stat().st_size).keep()[0]
