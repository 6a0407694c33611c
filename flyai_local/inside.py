"""One rule for every path from outside, of an archive, a card or an output: resolved, it lies in its folder."""

from __future__ import annotations

from pathlib import Path

from flyai_local.errors import UserError
from protocol.language import tr

__all__ = ["OutsideError", "inside"]


class OutsideError(UserError):
    """A path that leaves the folder it belongs to; the text names both."""


def inside(folder: Path, name: str) -> Path:
    """The place that `name` means below `folder`, with every link on the way followed; it need not exist.

    An absolute name passes only where it lies in the folder; the folder itself is not inside.

    Raises:
        OutsideError: the place lies elsewhere, or no file can have such a name.
    """
    try:
        top, place = folder.resolve(), (folder / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL, links in a circle, a name too long
        raise OutsideError(tr("{name!r} is no usable name of a file: {error}", name=name[:200], error=error)) from None
    if place == top or not place.is_relative_to(top):
        raise OutsideError(
            tr(
                "{name!r} does not lie in {folder!r}: give a relative path without '..'",
                name=name[:200],
                folder=folder.name,
            )
        )
    return place
