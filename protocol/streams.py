"""Places that are no files though they have a name: devices, pipes, and what a process has open under a number."""

from __future__ import annotations

import os
from pathlib import Path


def is_stream(path: Path) -> bool:
    """Whether something lies at `path` that is written into and must never be replaced: /dev/stdout, a pipe, a disk."""
    folder = os.path.realpath(path.parent)
    if folder == "/dev" or folder.startswith("/proc/"):
        return path.exists()
    return path.exists() and not path.is_file() and not path.is_dir()
