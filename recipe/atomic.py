"""Files that are written whole or not at all: to a temporary name, flushed, renamed. No torch is imported here."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recipe.errors import CheckpointError


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place once the block ends without error.

    Raises:
        CheckpointError: the folder is read-only or the disk is full; whatever lay at `path` is still there.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")  # threads may write the same file
        temporary.touch()  # with the rights that the user's umask gives, unlike a file of tempfile
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
        _keep_name(path.parent)
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path}: {error.strerror or error}. Free some space there or choose another --output."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _keep_name(folder: Path) -> None:
    """After a power cut the new name is there as well; systems that open no folders (Windows) keep names by themselves."""
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
