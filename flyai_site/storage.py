"""Files by their SHA-256: archives, answers, data. Written once, never changed, streamed in and out."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from flyai_local.errors import UserError

__all__ = ["Incoming", "TooLargeError", "arrive", "blob", "folder", "keep_file"]

CHUNK = 2**16
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


class Incoming:
    """A file that is arriving: hashed as it comes, kept under its hash or dropped without trace."""

    def __init__(self, limit_bytes: int) -> None:
        if shutil.disk_usage(folder("incoming")).free < SPARE_MB * 2**20:
            raise UserError(_("The site's disk is full: tell the organiser. Nothing was taken."))
        handle, name = tempfile.mkstemp(dir=folder("incoming"))
        self._file = open(handle, "wb")  # noqa: SIM115 - closed by keep or drop
        self._path = Path(name)
        self._limit = limit_bytes
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            TooLargeError: beyond the limit; the file is dropped.
        """
        self.size += len(piece)
        if self.size > self._limit:
            self.drop()
            raise TooLargeError(_("The file is larger than %(most)d MB.") % {"most": self._limit // 2**20})
        self._hash.update(piece)
        self._file.write(piece)

    def settle(self) -> str:
        """See that the file is on the disk, which may take a while; returns its SHA-256."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return self._hash.hexdigest()

    def keep(self) -> tuple[str, int]:
        """Put the file in its place; returns SHA-256 and size in bytes."""
        sha256 = self.settle()
        self._path.replace(blob(sha256))
        return sha256, self.size

    def path(self) -> Path:
        """The file as far as it came, for reading."""
        self._file.flush()
        return self._path

    def drop(self) -> None:
        """Forget the file."""
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()


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
