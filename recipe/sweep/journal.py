"""The journal of a sweep: one JSON object per line, appended whole under a lock, and what it says is done.

Nothing else is remembered. A task is claimed by holding the lock of its claim file, which the system releases when the
process dies by whatever signal; a task is finished when its `done` line is there. So a sweep stopped by `kill -9` goes
on where it was: a finished task is never run again, and one that was interrupted is taken up again in its own folder.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from protocol.language import tr
from protocol.strict import ConfigError

FINISHED = ("done", "pruned", "failed")


@dataclass
class TaskState:
    """What the journal says of one task."""

    row: str = ""
    seed: int = 0
    claims: int = 0
    began: float = 0.0  # when it was claimed first, in seconds since 1970
    finished: str = ""  # one of FINISHED, or empty
    ending: dict[str, Any] = field(default_factory=dict)  # the line that finished it
    epochs: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)  # (fold, epoch) to its line


@dataclass
class SweepState:
    """What the journal says."""

    began: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)  # rows that a search asked for, in order
    tasks: dict[str, TaskState] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)  # by row, where they were chosen for an equal time
    seconds_per_epoch: dict[str, float] = field(default_factory=dict)  # by row, as timed

    def task(self, key: str) -> TaskState:
        """The state of a task, new where the journal does not know it."""
        return self.tasks.setdefault(key, TaskState())


class SweepJournal:
    """`journal.jsonl` in the folder of a sweep."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "journal.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self._forget()

    def _forget(self) -> None:
        """What was read so far: the state, and where in which file it ends."""
        self._state, self._end, self._lines, self._inode = SweepState(), 0, 0, -1

    def lock(self) -> FileLock:
        """For reading and then writing without another process in between: `with journal.lock():`."""
        return FileLock(self.folder / "journal.lock")

    def write(self, event: str, **fields: Any) -> None:
        """Appends one line under the lock."""
        with self.lock():
            self.append(event, **fields)

    def append(self, event: str, **fields: Any) -> None:
        """Appends one line and waits for the disk; the caller holds the lock. A torn last line is cut off first."""
        line = json.dumps({"event": event, **fields, "at": round(time.time(), 3)}, ensure_ascii=False) + "\n"
        with open(self.path, "ab+") as stream:
            stream.truncate(_end_of_last_line(stream, self._end))
            stream.seek(0, os.SEEK_END)
            stream.write(line.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())

    def read(self) -> SweepState:
        """Everything the journal says; only what is new since the last time is read.

        Raises:
            ConfigError: a line that is no JSON, which is not the last.
        """
        if not self.path.exists():
            return SweepState()
        with open(self.path, "rb") as stream:
            there = os.fstat(stream.fileno())
            if there.st_ino != self._inode or there.st_size < self._end:
                self._forget()
                self._inode = there.st_ino
            stream.seek(self._end)
            lines = stream.read().split(b"\n")[:-1]
        for number, line in enumerate(lines, start=self._lines + 1):
            try:
                _apply(self._state, json.loads(line))
            except ValueError:
                self._forget()
                raise ConfigError(
                    tr(
                        "{path}, line {number} is not JSON: remove the line, or the folder to begin anew.",
                        path=self.path,
                        number=number,
                    )
                ) from None
            self._end, self._lines = self._end + len(line) + 1, number
        return self._state

    def claim(self, key: str) -> FileLock | None:
        """The lock of a task; None where another process works on it."""
        path = self.folder / "claims" / f"{key}.lock"
        path.parent.mkdir(exist_ok=True)
        try:
            return FileLock(path).acquire(blocking=False).lock
        except Timeout:
            return None


def _end_of_last_line(stream: Any, known: int) -> int:
    """Bytes up to the last line end: a line that a dying process began does not count. A line ends at `known`."""
    start = known if known <= stream.seek(0, os.SEEK_END) else 0
    stream.seek(start)
    return start + int(stream.read().rfind(b"\n")) + 1


def _apply(state: SweepState, line: dict[str, Any]) -> None:
    event = line["event"]
    if event == "began":
        state.began = line
    elif event == "row":
        state.rows.append(line)
    elif event == "claim":
        task = state.task(line["task"])
        task.row, task.seed, task.claims, task.finished = line["row"], line["seed"], task.claims + 1, ""
        task.began = task.began or line.get("at", 0.0)
    elif event == "epoch":
        state.task(line["task"]).epochs[line["fold"], line["epoch"]] = line
    elif event == "timed":
        state.seconds_per_epoch[line["row"]] = line["seconds_per_epoch"]
    elif event == "epochs":
        state.epochs[line["row"]] = line["epochs"]
    elif event == "retry":
        state.task(line["task"]).finished = ""
    elif event in FINISHED:
        task = state.task(line["task"])
        task.finished, task.ending = event, line
