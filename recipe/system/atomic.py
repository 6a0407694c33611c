"""Files written whole or not at all (to a temporary name, flushed, renamed), and checksums of finished ones.

A checksum is of a file's bytes, or of a JSON file's own content. No torch is imported here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from protocol.errors import UserError
from protocol.language import tr
from protocol.plain_files import Unreadable, read_json
from protocol.streams import is_stream


class CheckpointError(UserError, RuntimeError):
    """A checkpoint that is absent, broken or cannot be written; the message says what to do."""


class DamagedError(CheckpointError):
    """A file that is torn, altered or not ours; the message says which and why, and the caller what happens now."""


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place once the block ends without error.

    What is no file is written into and never replaced: a pipe, a device, /dev/stdout.

    Raises:
        CheckpointError: the folder is read-only or the disk is full; whatever lay at `path` is still there.
    """
    temporary, stream_there = None, is_stream(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.gettempdir()) if stream_there else path.parent
        temporary = beside / f".{path.name}.{uuid.uuid4().hex}.tmp"  # threads may write the same file
        temporary.touch()  # with the rights that the user's umask gives, unlike a file of tempfile
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        if stream_there:
            with open(temporary, "rb") as stream, open(path, "wb", buffering=0) as place:
                shutil.copyfileobj(stream, place)
        else:
            temporary.replace(path)
            _keep_name(path.parent)
    except OSError as error:
        raise CheckpointError(
            tr(
                "cannot write {path}: {error}. Free some space there or choose another --output.",
                path=path,
                error=error.strerror or error,
            )
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _keep_name(folder: Path) -> None:
    """After a power cut the new name is there as well; Windows, which opens no folders, keeps names by itself."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """A file, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: Any) -> None:
    """JSON in UTF-8, whole or not at all."""
    write_bytes(path, (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode())


SEAL = "sha256"


def file_sha256(path: Path) -> str:
    """64 hex digits.

    Raises:
        DamagedError: the file is absent or cannot be read.
    """
    total = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            for chunk in iter(lambda: stream.read(2**20), b""):
                total.update(chunk)
    except OSError as error:
        raise DamagedError(tr("{path} cannot be read ({strerror})", path=path, strerror=error.strerror)) from None
    return total.hexdigest()


def write_sealed_json(path: Path, content: dict[str, Any]) -> None:
    """JSON with the checksum of everything else in it."""
    write_json(path, content | {SEAL: _digest(content)})


def read_sealed_json(path: Path) -> dict[str, Any]:
    """The content without its checksum. A file without one is of an older version and is taken as it is.

    Raises:
        DamagedError: the file is torn or altered.
    """
    try:
        content = read_json(path)
    except (OSError, Unreadable) as error:
        raise DamagedError(tr("{path} cannot be read ({error})", path=path, error=str(error).splitlines()[0])) from None
    found = content.pop(SEAL, None)
    if found is not None and found != _digest(content):
        raise DamagedError(tr("{path} is damaged: its content does not match its checksum", path=path))
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
