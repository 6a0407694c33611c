"""Unpacks an archive that nobody vouches for: no entry leaves the folder, no link, no flood, no strange coding."""

from __future__ import annotations

import errno
import lzma
import stat
import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from flyai_local.inside import OutsideError, inside
from flyai_local.states import Code
from protocol.language import tr

__all__ = ["MAX_FILES", "MAX_MB", "ArchiveError", "unpack"]

MAX_FILES = 20000  # and folders
MAX_MB = 8192
MAX_DEPTH = 32
MAX_PATH = 1024  # bytes of a whole name
MAX_NAME = 255  # bytes of one part: what file systems take
CHUNK = 2**20
DIRECTORY_BYTES = 512  # of the archive's list of entries, for each entry that may be there
INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode's control, format and separator characters
# What zipfile and its decoders raise for an archive that is not as it should be.
CORRUPT = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError,
           ValueError, LookupError, ArithmeticError)  # fmt: skip
# Errors of the file system that the names of an archive cause; every other one is the machine's.
BY_NAMES = (errno.EEXIST, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ENOTEMPTY)


class ArchiveError(ValueError):
    """An archive that is refused; `code` names the reason and the text names the entry."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


def unpack(archive: Path, folder: Path, max_mb: float = MAX_MB, max_files: int = MAX_FILES) -> int:
    """Unpack a zip file into an empty or missing `folder`; returns the number of bytes written.

    Every entry is judged before the first byte is written, by the size that it states. An entry that holds more than it
    states is cut there by zipfile, and then refused for its checksum.

    Raises:
        ArchiveError: not a zip file, an unsafe entry, too large, or one extra top-level folder.
        OSError: the machine itself failed, for instance with a full disk.
    """
    try:
        with archive.open("rb") as file, zipfile.ZipFile(_Bounded(file, max_files * DIRECTORY_BYTES)) as opened:
            entries = opened.infolist()
            _judge(entries, folder, max_mb, max_files)
            return _write(opened, entries, folder)
    except ArchiveError:
        raise
    except OSError as error:
        if error.errno not in (None, *BY_NAMES):
            raise
        raise _corrupt(archive, error) from error
    except CORRUPT as error:
        raise _corrupt(archive, error) from error


class _Bounded:
    """A file that gives few bytes at a time: zipfile reads the list of entries whole, whatever length it claims."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, max(most, CHUNK)
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close

    def read(self, count: int = -1) -> bytes:
        content = self._file.read(self._most + 1 if count < 0 else min(count, self._most + 1))
        if len(content) > self._most:
            raise ArchiveError(
                Code.ARCHIVE_TOO_LARGE, tr("its list of entries is longer than {most} bytes", most=self._most)
            )
        return content


def _corrupt(archive: Path, error: Exception) -> ArchiveError:
    return ArchiveError(
        Code.BAD_ARCHIVE,
        tr("{name} cannot be unpacked: {error}", name=archive.name, error=error or type(error).__name__),
    )


def _judge(entries: list[zipfile.ZipInfo], folder: Path, max_mb: float, max_files: int) -> None:
    if not entries:  # as in one whose comment is the end of an empty archive: the last end counts, for unzip too
        raise ArchiveError(Code.BAD_ARCHIVE, tr("its list of entries, the last one in it, is empty: pack it anew"))
    _refuse_many(len(entries), max_files)
    for entry in entries:
        reason = _unsafe(entry, folder)
        if reason:
            raise ArchiveError(
                Code.UNSAFE_ARCHIVE, tr("the entry {filename!r} {reason}", filename=entry.filename[:200], reason=reason)
            )
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError(
                Code.BAD_ARCHIVE,
                tr("{filename!r} is neither stored nor deflated: pack it anew", filename=entry.filename),
            )
    total_mb = sum(entry.file_size for entry in entries) / 2**20
    if total_mb > max_mb:
        raise ArchiveError(
            Code.ARCHIVE_TOO_LARGE,
            tr(
                "the archive unpacks to {total_mb:.0f} MB; at most {max_mb:g} MB pass", total_mb=total_mb, max_mb=max_mb
            ),
        )
    _judge_together([(_parts(entry), entry.is_dir()) for entry in entries], max_files)


def _judge_together(names: list[tuple[tuple[str, ...], bool]], max_files: int) -> None:
    """Refuse names that pass one by one: more folders than files, the same place twice, an extra folder on top."""
    folders = {parts[:at] for parts, _ in names for at in range(1, len(parts))}
    _refuse_many(len(folders | {parts for parts, _ in names}), max_files)
    seen: set[tuple[str, ...]] = {_folded(parts) for parts in folders}
    for parts, is_folder in names:
        place = _folded(parts)
        if place in seen and not (is_folder and parts in folders):
            raise ArchiveError(
                Code.UNSAFE_ARCHIVE, tr("the entry {parts!r} is there twice (or once per case)", parts="/".join(parts))
            )
        seen.add(place)
    files = [parts for parts, is_folder in names if not is_folder]
    tops = {parts[0] for parts in files}
    if len(tops) == 1 and any(len(parts) == 2 and parts[1] == "main.py" for parts in files):
        raise ArchiveError(
            Code.NESTED_FOLDER, tr("everything lies in the folder {pop!r}; main.py must be at the top", pop=tops.pop())
        )


def _refuse_many(count: int, most: int) -> None:
    if count > most:
        raise ArchiveError(
            Code.ARCHIVE_TOO_LARGE,
            tr("the archive holds {count} files and folders; at most {most} pass", count=count, most=most),
        )


def _parts(entry: zipfile.ZipInfo) -> tuple[str, ...]:
    return tuple(part for part in entry.filename.split("/") if part not in ("", "."))


def _folded(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Names that some file system takes for the same."""
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in parts)


def _unsafe(entry: zipfile.ZipInfo, folder: Path) -> str | None:
    """What is wrong with an entry, as the end of a sentence; None when nothing is."""
    name, kind, parts = entry.filename, stat.S_IFMT(entry.external_attr >> 16), _parts(entry)
    # An archive from Windows may use backslashes; zipfile turns those into slashes only on Windows.
    if not parts or "\\" in name or "\0" in entry.orig_filename:
        return tr("has no usable name: use plain names with forward slashes")
    if any(unicodedata.category(mark) in INVISIBLE for mark in name):
        return tr("has an invisible character in its name")
    if len(parts) > MAX_DEPTH or len(name.encode()) > MAX_PATH or max(len(part.encode()) for part in parts) > MAX_NAME:
        return tr("is deeper than {max_depth} folders, or its name is too long", max_depth=MAX_DEPTH)
    if name.startswith("/") or ".." in parts or any(":" in part for part in parts) or not _lies_in(folder, name):
        return tr("would be written outside of the folder")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return tr("is a link or a special file")
    return tr("is encrypted") if entry.flag_bits & 1 else None


def _lies_in(folder: Path, name: str) -> bool:
    try:
        return bool(inside(folder, name))
    except OutsideError:
        return False


def _write(opened: zipfile.ZipFile, entries: list[zipfile.ZipInfo], folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for entry in entries:
        target = inside(folder, entry.filename)
        if entry.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(entry) as source, target.open("xb") as sink:  # x: what is there already is never opened
            while piece := source.read(CHUNK):
                written += sink.write(piece)
    return written
