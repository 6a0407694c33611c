"""Pictures brought to where a submission finds them: linked where that is possible, copied where it is not."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from flyai_local.errors import UserError
from protocol.language import tr

Way = Callable[[Path, Path], object]


def ways(embedded: bool, copy: bool) -> tuple[Way, ...]:
    """How to bring a picture to its place, in the order of trying.

    A link to the user's own picture follows when that is replaced; a hard link to a cached one outlives the cache.
    """
    if copy:
        return (shutil.copyfile,)
    return (os.link, os.symlink, shutil.copyfile) if embedded else (os.symlink, os.link, shutil.copyfile)


def refuse_gone(gone: list[Path]) -> None:
    """Raises UserError that names the first of the pictures that are gone, if any."""
    if gone:
        which, them = (tr(" and {gone} more are", gone=len(gone) - 1), "them") if len(gone) > 1 else (" is", "it")
        raise UserError(
            tr(
                "the picture {gone!r}{which} gone: put {them} back, or add the competition with "
                "--replace; nothing was placed",
                gone=str(gone[0]),
                which=which,
                them=them,
            )
        )


def put_all(sources: list[Path], targets: list[Path], by: tuple[Way, ...]) -> None:
    """Bring every picture to its place, or none: a full disk leaves no folder that looks like data."""
    new: list[Path] = []
    try:
        for source, target in zip(sources, targets, strict=True):
            if not target.exists():
                new.append(target)
            _put(source, target, by)
    except BaseException:
        for target in new:
            target.unlink(missing_ok=True)
        for folder in {parent: None for target in reversed(new) for parent in target.parents}:
            with contextlib.suppress(OSError):  # it holds something else
                folder.rmdir()
        raise


def _put(source: Path, target: Path, by: tuple[Way, ...]) -> None:
    """Bring one picture to its place by the first way that this system and the file systems allow."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    for way in by[:-1]:
        try:
            way(source, target)
            return
        except OSError:  # Windows without the privilege; another file system; one without links
            continue
    by[-1](source, target)
