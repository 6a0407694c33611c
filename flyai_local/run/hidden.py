"""Brings the hidden pictures into the work folder for the evaluation, and takes out whatever the evaluation left there.

Only pictures are brought, never a label: under new names that say nothing, in shuffled order, with fresh times.
"""

from __future__ import annotations

import random
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flyai_local.errors import UserError
from flyai_local.run.answers import Label

__all__ = ["Question", "Traces", "bring", "own_folder"]

FOLDER = ("data", "input", "image", "image")  # the form in which the platform's mushroom rows named their pictures


@dataclass(frozen=True)
class Question:
    """One hidden row as the scorer holds it: the path that the submission gets, the original picture, the label."""

    picture: str
    key: str
    label: Label


def bring(rows: Sequence[tuple[Path, Label]], hidden_images: Path, project: Path, generation: str) -> list[Question]:
    """Copy the hidden pictures into the project, shuffled; returns the questions in the order in which to ask them.

    Paths are relative to the project with a leading `./`; for 1.x, relative to data/input, because the SDK of that time
    joined them with it. The order comes from the system's randomness: nobody can foresee it.
    """
    shuffled = random.SystemRandom().sample(rows, len(rows))
    folder = own_folder(project, *FOLDER)
    shutil.rmtree(folder)
    folder.mkdir()
    shown = "./" + "/".join(FOLDER) if generation == "2.0" else "/".join(FOLDER[2:])
    questions = []
    for at, (picture, label) in enumerate(shuffled):
        name = f"{at}_{secrets.token_urlsafe(8)}{picture.suffix}"
        try:
            shutil.copyfile(picture, folder / name)
        except OSError as error:
            why = error.strerror or str(error)
            raise UserError(
                f"the hidden picture {str(picture)!r} cannot be copied ({why}): put it back, or add the "
                "competition with --replace"
            ) from None
        questions.append(Question(f"{shown}/{name}", picture.relative_to(hidden_images).as_posix(), label))
    return questions


def own_folder(project: Path, *parts: str) -> Path:
    """The folder below `project`, made if missing, with no link on the way.

    A submission may have put a link there; following it, the platform would write wherever the submission wishes.
    """
    folder = project
    for part in parts:
        folder = folder / part
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        folder.mkdir(exist_ok=True)
    return folder


class Traces:
    """Remembers a folder, to remove later every file that was made or changed since.

    So nothing that the evaluation wrote, a copy of a hidden picture for instance, can be read by the participant. The
    time of the last change of a file's record (ctime) is compared, which no ordinary process can set back.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = {path: _identity(path) for path in _below(folder)}

    def remove(self) -> int:
        """Remove what is new or changed; returns how many files that were."""
        removed = 0
        for path in sorted(_below(self._folder), reverse=True):
            folder = path.is_dir() and not path.is_symlink()
            known = self._before.get(path)
            if folder:
                if known is None:
                    shutil.rmtree(path)
            elif known != _identity(path):
                path.unlink()
                removed += 1
        return removed


def _below(folder: Path) -> list[Path]:
    """Every path below a folder; links are listed, not followed."""
    found, waiting = [], [folder]
    while waiting:
        for path in waiting.pop().iterdir():
            found.append(path)
            if path.is_dir() and not path.is_symlink():
                waiting.append(path)
    return found


def _identity(path: Path) -> tuple[int, int, int]:
    status = path.lstat()
    return status.st_ino, status.st_size, status.st_ctime_ns
