"""Brings the hidden pictures into the copy in which the evaluation works, and says how much of its log may be seen.

Only pictures are brought, never a label: under new names that say nothing, in shuffled order, with fresh times.
"""

from __future__ import annotations

import random
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flyai_local.box.folders import removed
from flyai_local.errors import UserError
from flyai_local.run.answers import Label
from protocol.language import tr

__all__ = ["Question", "bring", "own_folder", "visible_mb"]

MOST_VISIBLE = 128 * 1024
LEAST_VISIBLE = 512
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
    removed(own_folder(project, *FOLDER))
    folder = own_folder(project, *FOLDER)
    shown = "./" + "/".join(FOLDER) if generation == "2.0" else "/".join(FOLDER[2:])
    questions = []
    for at, (picture, label) in enumerate(shuffled):
        name = f"{at}_{secrets.token_urlsafe(8)}{picture.suffix}"
        try:
            shutil.copyfile(picture, folder / name)
        except OSError as error:
            why = error.strerror or str(error)
            raise UserError(
                tr(
                    "the hidden picture {picture!r} cannot be copied ({why}): put it back, or add the "
                    "competition with --replace",
                    picture=str(picture),
                    why=why,
                )
            ) from None
        questions.append(Question(f"{shown}/{name}", picture.relative_to(hidden_images).as_posix(), label))
    return questions


def own_folder(project: Path, *parts: str) -> Path:
    """The folder below `project`, made if missing, with no link on the way, and not locked.

    A submission may have put a link there; following it, the platform would write wherever the submission wishes. Or a
    pipe, which no folder can be made over.
    """
    folder = project
    for part in parts:
        folder = folder / part
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            folder.unlink()
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    return folder


def visible_mb(pictures: Sequence[Path]) -> float:
    """How much of an evaluation's log may be seen: too little to carry the pictures out, enough for an error's cause.

    A fiftieth of what the pictures weigh, at most 128 KB, at least half a kilobyte.
    """
    weight = sum(picture.stat().st_size for picture in pictures if picture.is_file())
    return min(max(weight / 50, LEAST_VISIBLE), MOST_VISIBLE) / 2**20
