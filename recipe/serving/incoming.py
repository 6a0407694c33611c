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
    """Refuses one picture where many are asked for: a text would be read letter by letter.

    Raises:
        UserError: names what to write.
    """
    if isinstance(pictures, (str, bytes, bytearray, os.PathLike)) or hasattr(pictures, "getexif"):
        raise UserError(
            tr(
                "one {pictures} was given where many pictures are asked for; put it in a list: [picture]",
                pictures=type(pictures).__name__,
            )
        )


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
