"""A task is a file: spec.json in a folder of its own, and beside it one folder for every attempt at it.

    RUN/tasks/fold2/spec.json              what is to be trained
    RUN/tasks/fold2/attempt1/              a run folder, written by this attempt alone
    RUN/tasks/fold2/attempt1/beat.json     who works at it; written anew every few seconds
    RUN/tasks/fold2/attempt1/end.json      how it ended, at the very last

An attempt owns its folder: whoever begins makes the next one, which only one can, and copies what the last one had
saved. So an attempt that was taken for dead and wakes up later writes where nobody looks; nothing is ever overwritten,
whatever the clocks of the machines say.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.errors import UserError
from protocol.language import tr
from protocol.plain_files import Unreadable, read_json
from protocol.strict import Strict, checked
from recipe.app import Competition
from recipe.config import Config
from recipe.system.atomic import write_json

SPEC, BEAT, END, ATTEMPT = "spec.json", "beat.json", "end.json", "attempt"
DONE, FAILED, AGAIN = "done", "failed", "again"  # how an attempt ends: well; refused by a sentence; stopped in between


class TaskError(UserError, ValueError):
    """A task that cannot be read or run; the message says why."""


class TaskSpec(Strict):
    """One training: a fold of a run, or a row of a sweep."""

    kind: str
    name: str
    config: Config
    competition: Competition
    data: str  # the pictures, as every machine finds them
    fold: int | None = None  # this one alone
    keep_weights: bool = True


@dataclass(frozen=True)
class Attempt:
    """One attempt at a task, by what lies in its folder."""

    folder: Path
    number: int

    @property
    def beat(self) -> dict[str, Any]:
        """Who works at it, and a count that grows while it lives."""
        return _plain(self.folder / BEAT)

    @property
    def end(self) -> dict[str, Any]:
        """How it ended; empty while it has not."""
        return _plain(self.folder / END)


def write_spec(folder: Path, spec: TaskSpec) -> None:
    """The file of a task; a folder of the same task keeps its attempts."""
    write_json(folder / SPEC, json.loads(spec.model_dump_json()))


def read_spec(path: Path) -> TaskSpec:
    """The task in a file.

    Raises:
        TaskError: it is absent or cannot be read.
        ConfigError: it asks for something that cannot be.
    """
    try:
        content = read_json(path)
    except (OSError, Unreadable) as error:
        raise TaskError(
            tr("{path} cannot be read ({reason}): this machine does not see the folder of the run, or it is no task. "
               "Tasks need a folder that all machines share.", path=path,
               reason=getattr(error, "strerror", None) or error)
        ) from None  # fmt: skip
    spec: TaskSpec = checked(TaskSpec, content, str(path))
    return spec


def attempts(folder: Path) -> list[Attempt]:
    """All attempts at a task, the first first."""
    found = [(re.fullmatch(rf"{ATTEMPT}(\d+)", path.name), path) for path in folder.glob(f"{ATTEMPT}*")]
    return sorted((Attempt(path, int(name[1])) for name, path in found if name), key=lambda each: each.number)


def newest(folder: Path) -> Attempt | None:
    """The last attempt, whose result counts; None before the first."""
    return next(reversed(attempts(folder)), None)


def _plain(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except (OSError, Unreadable):
        return {}
