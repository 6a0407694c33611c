"""Unpacks an archive that nobody vouches for: no entry leaves the folder, no link, no flood."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath

from flyai_local.states import Code

__all__ = ["MAX_FILES", "MAX_MB", "ArchiveError", "unpack"]

MAX_FILES = 20000
MAX_MB = 8192
CHUNK = 2**20


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
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _judge(entries, max_mb, max_files)
            return _write(opened, entries, folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise ArchiveError(Code.BAD_ARCHIVE, f"{archive.name} cannot be unpacked: {error}") from error


def _judge(entries: list[zipfile.ZipInfo], max_mb: float, max_files: int) -> None:
    if len(entries) > max_files:
        raise ArchiveError(
            Code.ARCHIVE_TOO_LARGE, f"the archive holds {len(entries)} entries; at most {max_files} pass"
        )
    for entry in entries:
        reason = _unsafe(entry)
        if reason:
            raise ArchiveError(Code.UNSAFE_ARCHIVE, f"the entry {entry.filename!r} {reason}")
    total_mb = sum(entry.file_size for entry in entries) / 2**20
    if total_mb > max_mb:
        raise ArchiveError(
            Code.ARCHIVE_TOO_LARGE, f"the archive unpacks to {total_mb:.0f} MB; at most {max_mb:g} MB pass"
        )
    names = [PurePosixPath(entry.filename) for entry in entries if not entry.is_dir()]
    tops = {name.parts[0] for name in names}
    if len(tops) == 1 and any(len(name.parts) == 2 and name.name == "main.py" for name in names):
        raise ArchiveError(
            Code.NESTED_FOLDER, f"everything lies in the folder {tops.pop()!r}; main.py must be at the top"
        )


def _unsafe(entry: zipfile.ZipInfo) -> str | None:
    """What is wrong with an entry, as the end of a sentence; None when nothing is."""
    name, kind = entry.filename, stat.S_IFMT(entry.external_attr >> 16)
    # An archive from Windows may use backslashes; zipfile turns those into slashes only on Windows.
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or "\\" in name or "\0" in entry.orig_filename:
        return "has no usable name: use plain names with forward slashes"
    if ".." in parts or parts[0] == "/" or ":" in parts[0]:
        return "would be written outside of the folder"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a special file"
    return "is encrypted" if entry.flag_bits & 1 else None


def _write(opened: zipfile.ZipFile, entries: list[zipfile.ZipInfo], folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for entry in entries:
        target = folder / entry.filename
        if entry.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(entry) as source, target.open("wb") as sink:
            while piece := source.read(CHUNK):
                written += sink.write(piece)
    return written
