"""Room on the disk: looked at before and while a run works, so that it stops in words, not in mid-file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from protocol.language import tr
from recipe.system.atomic import CheckpointError

STATES = 3  # two that are kept and the one being written
RESERVE = 16 * 2**20  # bytes, for predictions, logs and the report


def needed_bytes(parameter_bytes: int, folds: int, copies: int) -> int:
    """What a run writes: weights of every fold, the states of one fold, and a reserve.

    Args:
        parameter_bytes: of the network.
        copies: how often a state holds the weights: themselves, their average, the optimizer's moments and slow
            weights.
    """
    return folds * parameter_bytes + STATES * copies * parameter_bytes + RESERVE


def free_bytes(folder: Path) -> int:
    """Free bytes where a folder is, or will be once it is made."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


class RoomWatch:
    """Warns, once, while there is still time to free some space: what is written last may find no room."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder, self.say, self.warned = folder, say, False

    def saved(self, state_bytes: int) -> None:
        """A state of so many bytes was written; another one, the best weights and the reserve must still fit."""
        needed = 2 * state_bytes + RESERVE
        if not self.warned and (free := free_bytes(self.folder)) < needed:
            self.warned = True
            self.say(
                tr(
                    "the disk fills up: {free:.0f} MB are free in {folder} and this run needs {needed:.0f} "
                    "MB at a time. Free some space; if it runs out, training stops, what was saved is "
                    "intact, and --resume goes on with it",
                    free=free / 2**20,
                    folder=self.folder,
                    needed=needed / 2**20,
                )
            )


def check_room(folder: Path, needed: int) -> None:
    """Refuses to begin what cannot end.

    Raises:
        CheckpointError: names what is needed and what is there.
    """
    if (free := free_bytes(folder)) < needed:
        raise CheckpointError(
            tr(
                "the run needs about {needed:.0f} MB in {folder} and {free:.0f} MB are free. Free some "
                "space there or choose another --output; what was saved before is intact, and --resume "
                "goes on with it.",
                needed=needed / 2**20,
                folder=folder,
                free=free / 2**20,
            )
        )
