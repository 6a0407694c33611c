"""Checksums of finished files: of any file by its bytes, and of a JSON file by its own content. No torch is imported here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from recipe.atomic import write_json
from recipe.errors import DamagedError
from recipe.plain_files import Unreadable, read_json

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
        raise DamagedError(f"{path} cannot be read ({error.strerror})") from None
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
        raise DamagedError(f"{path} cannot be read ({str(error).splitlines()[0]})") from None
    found = content.pop(SEAL, None)
    if found is not None and found != _digest(content):
        raise DamagedError(f"{path} is damaged: its content does not match its checksum")
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
