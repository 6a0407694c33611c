"""log.jsonl: one line per epoch of every fold, each exactly once, however often the run was stopped.

The file is a copy of what folds know themselves (their state, and their result once they are finished), written whole
at every change.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from recipe.runs.results import EpochLog
from recipe.system.atomic import write_bytes


class EpochLogFile:
    """The epochs of a run, in the order of folds and epochs."""

    def __init__(self, path: Path) -> None:
        """Takes up what lies there; a line that was torn is passed over, for its fold will tell it again."""
        self.path = path
        self.logs = {(log.fold, log.epoch): log for log in read_logs(path)}

    def restart(self, fold: int, logs: Iterable[EpochLog]) -> None:
        """What a fold knows counts, rather than what was written of it."""
        others = {key: log for key, log in self.logs.items() if key[0] != fold}
        self._become(others | {(log.fold, log.epoch): log for log in logs})

    def add(self, log: EpochLog) -> None:
        """One more epoch."""
        self._become(self.logs | {(log.fold, log.epoch): log})

    def _become(self, logs: dict[tuple[int, int], EpochLog]) -> None:
        if logs != self.logs:
            self.logs = dict(sorted(logs.items()))
            lines = [json.dumps(dataclasses.asdict(log)) for log in self.logs.values()]
            write_bytes(self.path, "".join(f"{line}\n" for line in lines).encode())


def read_logs(path: Path) -> list[EpochLog]:
    """The epochs in a log.jsonl, in its order; none where there is no file."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            found.append(EpochLog(**json.loads(line)))
        except (ValueError, TypeError, RecursionError):
            continue
    return found
