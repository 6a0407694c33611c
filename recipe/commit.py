"""Which state of the code a run belongs to."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def commit(folder: Path = ROOT) -> str:
    """12 hex digits of the checked-out commit, with `+changes` where tracked files differ from it; empty without git or a repository."""
    number = _git(folder, "rev-parse", "--short=12", "HEAD")
    return number + ("+changes" if number and _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *words: str) -> str:
    try:
        answer = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
