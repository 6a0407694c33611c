"""What of old runs is given back: their work folders and archives. Records and logs stay, and so does what counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flyai_local.board.board import ranking
from flyai_local.board.records import Records, Run
from flyai_local.box.folders import removed, use
from flyai_local.run.leftovers import finish_killed

__all__ = ["KEPT_RUNS", "Given", "prune"]

KEPT_RUNS = 20  # newest ones whose work folder stays
LARGE = ("project", "trained", "private", "environment", "submission.zip")


@dataclass(frozen=True)
class Given:
    """A run's folder that was emptied, and the bytes that this gave back."""

    run: int
    bytes: int


def prune(book: Records, runs: Path, keep: int = KEPT_RUNS, pretend: bool = False) -> list[Given]:
    """Empty the folders of all ended runs but the newest `keep` and those that stand on a board; the logs stay.

    Args:
        pretend: only tell what would be given back.
    """
    finish_killed(runs)
    found = [run for run in book.runs() if run.state.ended]
    staying = {run.id for run in found[len(found) - keep :] if keep} | _on_a_board(found)
    given = []
    for run in found:
        large = [runs / str(run.id) / name for name in LARGE if (runs / str(run.id) / name).exists()]
        if run.id in staying or not large:
            continue
        size = sum(use(path).bytes if path.is_dir() else path.stat().st_size for path in large)
        for path in [] if pretend else large:
            removed(path)
        given.append(Given(run.id, size))
    return given


def _on_a_board(runs: list[Run]) -> set[int]:
    names = {run.competition for run in runs}
    entries = (entry for name in names for entry in ranking([run for run in runs if run.competition == name]))
    return {entry.run.id for entry in entries}
