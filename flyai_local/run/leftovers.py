"""What a run leaves on the disk when it is over, and the finishing of runs whose platform was killed.

A run's folder holds `owner.json` while a process works on it. While the hidden pictures are there, `trained` is a copy
of what training left, and `project` is what is thrown away.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from flyai_local.board.owner import alive, own_mark
from flyai_local.box.folders import removed
from flyai_local.box.space import IMAGE

__all__ = ["KEPT", "PACKING", "finish_killed", "owned", "thrown_away"]

KEPT = "trained"
OWNER = "owner.json"
PACKING = ".packing-"


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Mark a folder as this process's work; when the mark outlives its process, the next run finishes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{OWNER}"
    unfinished.write_text(json.dumps(own_mark()), encoding="utf-8")
    unfinished.replace(folder / OWNER)  # another platform that looks finds it whole
    try:
        yield
    finally:
        (folder / OWNER).unlink(missing_ok=True)


def thrown_away(folder: Path, command: str) -> None:
    """Remove from a run's folder all that the evaluation could write to, and the private folders; models stay.

    Of `evaluate`, whose models lie in the participant's own folder, nothing stays.
    """
    if (folder / KEPT).exists():
        removed(folder / "project")
        (folder / KEPT).rename(folder / "project")
    elif command == "evaluate":
        removed(folder / "project")
    removed(folder / f".{KEPT}")
    removed(folder / "private")
    removed(folder / "environment")
    (folder / IMAGE).unlink(missing_ok=True)


def finish_killed(runs: Path) -> list[Path]:
    """Finish what platforms that were killed have left below the folder of runs; returns the folders concerned.

    Logs and archives stay. What such a run had trained stays only if it had come as far as its evaluation.
    """
    found = []
    for mark in (*runs.glob(f"*/{OWNER}"), *runs.glob(f"{PACKING}*/{OWNER}")):
        if _at_work(mark):
            continue
        folder = mark.parent
        with contextlib.suppress(OSError):  # another process finishes it just now
            if folder.name.startswith(PACKING):
                removed(folder)
            else:
                thrown_away(folder, "train" if (folder / KEPT).exists() else "evaluate")
                mark.unlink()
            found.append(folder)
    return found


def _at_work(mark: Path) -> bool:
    try:
        pid, process = json.loads(mark.read_text(encoding="utf-8"))
        return alive(int(pid), str(process))
    except (OSError, ValueError, TypeError):
        return False
