"""Whom a submission's processes belong to on this machine: where root runs the platform, to an id that is nobody's.

What a hole in the sandbox then gives away is the rights of a user who owns nothing. It needs no account, but what the
submission is to see must be open to other users: the interpreter, this package, the folder of weights.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["give", "identity", "user"]

FIRST = 0x70000000  # from here on, up to 2**31, ids are given to no user: https://systemd.io/UIDS-GIDS/
NOBODY = 65534
ANSWER_SECONDS = 20
LOOK = """
import os, sys
for path in sys.argv[1:]:
    if not os.access(path, os.R_OK | (os.X_OK if os.path.isdir(path) else 0)):
        sys.exit(path)
"""


def user(look: Callable[[int], tuple[str, ...]], by_sandbox: bool) -> int | None:
    """The id for the submissions that this process starts; None where it cannot give its own away.

    Args:
        look: a command that succeeds where a process with that id reaches all that it must.
        by_sandbox: the command takes the id by itself.
    """
    if os.name == "nt" or os.geteuid():
        return None
    chosen = (FIRST + os.getpid() % 2**16, NOBODY)  # the second where this is a container with few ids
    return next((each for each in chosen if _works(look(each), None if by_sandbox else each)), None)


@functools.lru_cache(maxsize=64)
def _works(command: tuple[str, ...], chosen: int | None) -> bool:
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=ANSWER_SECONDS, check=False, cwd="/", stdin=subprocess.DEVNULL,
            **({} if chosen is None else identity(chosen)),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):  # there is no such id here, or the program is closed to it
        return False
    return done.returncode == 0


def identity(chosen: int) -> dict[str, Any]:
    """The words by which `subprocess` starts a command under that id, and under no group of this process."""
    return {"user": chosen, "group": chosen, "extra_groups": []}


def give(chosen: int, folders: tuple[Path, ...], pipes: tuple[int, ...] = ()) -> None:
    """Make that id the owner of folders and all in them, links not followed, and of open pipes."""
    if folders:
        words = ["chown", "-RhP", f"{chosen}:{chosen}", "--", *map(str, folders)]
        subprocess.run(words, check=False, capture_output=True)  # what stays closed is closed to it
    for pipe in pipes:
        os.fchown(pipe, chosen, chosen)
