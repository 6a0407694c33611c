"""Pictures on their way in: what is refused before anything is decoded, and decoding ahead of the networks."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from protocol.errors import UserError
from protocol.language import tr
from recipe.pictures.anything import refusal
from recipe.pictures.errors import UnreadablePicture

DECODED_AHEAD = 64  # pictures that wait, brought to size, while the networks are at work


def refuse_one(pictures: Any) -> None:
    """Refuses one picture where many are asked for: a text would be read letter by letter, an array row by row.

    Raises:
        UserError: names what to write.
    """
    if _is_one(pictures):
        raise UserError(
            tr(
                "one {pictures} was given where many pictures are asked for; put it in a list: [picture]",
                pictures=type(pictures).__name__,
            )
        )
    if not isinstance(pictures, Iterable) or hasattr(pictures, "columns"):
        raise UserError(
            tr(
                "{pictures} is no list of pictures; give them in a list, and of a table its column of paths",
                pictures=type(pictures).__name__,
            )
        )


def _is_one(pictures: Any) -> bool:
    """Whether it is a path, a file, or an array of the shape of one picture; a stack (n, h, w, 3) is not."""
    if isinstance(pictures, (str, bytes, bytearray, memoryview, os.PathLike)):
        return True
    if hasattr(pictures, "getexif") or hasattr(pictures, "read"):
        return True
    shape: Any = getattr(pictures, "shape", ()) if not hasattr(pictures, "columns") else ()
    return len(shape) == 2 or (len(shape) == 3 and (shape[2] in (1, 3, 4) or shape[0] in (1, 3, 4)))


def must_exist(path: Any) -> None:
    """Refuses a path that leads nowhere; a picture in memory is there.

    Raises:
        FileNotFoundError: names it.
        UnreadablePicture: an object that is no picture.
    """
    if why := refusal(path):
        raise UnreadablePicture(tr("in memory"), why)
    if not isinstance(path, (str, os.PathLike)):
        return
    name = os.fspath(path)  # asked by os.path: Path.exists raises for a name that is too long
    if not name or os.path.isdir(name) or not os.path.exists(name):  # noqa: PTH110, PTH112
        shown = name if len(name) < 300 else f"{name[:300]}..."
        raise FileNotFoundError(
            tr("there is no picture {shown!r} (working directory {cwd}); check the path.", shown=shown, cwd=Path.cwd())
        )


def ahead(
    pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Iterable[Any], count: int = DECODED_AHEAD
) -> Iterator[Any]:
    """Results in order, with at most `count` items being worked on or waiting while the caller uses the last one."""
    waiting: deque[Any] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # the caller stopped: what was not begun never is
        for future in waiting:
            future.cancel()
