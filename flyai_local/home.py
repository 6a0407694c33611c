"""Where the local platform keeps what it knows: one folder per user."""

from __future__ import annotations

import os
from pathlib import Path

from protocol.home import have_home

HOME_VARIABLE = "FLYAI_LOCAL_HOME"


def home() -> Path:
    """Folder of competitions, caches, runs and records of this user, created when missing.

    ``FLYAI_LOCAL_HOME`` names it; without that variable it is ``.flyai_local`` in the user's home folder. A relative
    value counts from the working directory of the moment, and the result is always absolute.
    """
    named = os.environ.get(HOME_VARIABLE, "").strip()
    have_home()
    folder = Path(named).expanduser() if named else Path.home() / ".flyai_local"
    return _made(folder.absolute())


def competitions_folder() -> Path:
    """Folder with one sub-folder per competition that the user added."""
    return _made(home() / "competitions")


def cache_folder() -> Path:
    """Folder of what can be made again at any time: the pictures of the embedded competitions."""
    return _made(home() / "cache")


def runs_folder() -> Path:
    """Folder with one sub-folder per run of a submission."""
    return _made(home() / "runs")


def records_file() -> Path:
    """The SQLite file of submissions, runs and scores (it may not exist yet)."""
    return home() / "records.sqlite"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
