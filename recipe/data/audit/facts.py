"""What can be said of every picture file of a table: size, format, mode, EXIF, and why it cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocol.language import tr
from recipe.data.duplicates import THUMBNAIL, digest, thumbnail
from recipe.pictures.bytes import picture_bytes
from recipe.pictures.cache import Pictures, Progress
from recipe.pictures.errors import UnreadablePicture
from recipe.pictures.header import header
from recipe.pictures.orientation import exif_orientation


@dataclass(frozen=True)
class Facts:
    """One picture file."""

    path: Path
    bytes: int = 0
    digest: str = ""  # SHA-256 of the bytes; empty for a missing file
    format: str = ""
    mode: str = ""  # "grey", "CMYK", "palette", "16 bits", ...; empty for plain colour
    width: int = 0  # as stored, before any rotation; 0 where the header does not say
    height: int = 0
    orientation: int = 1  # EXIF, 1 to 8
    reason: str = ""  # why it cannot be read; empty: it can


def gather(pictures: Pictures, progress: Progress | None = None) -> tuple[list[Facts], np.ndarray]:
    """The facts of every picture, and thumbnails (N,32,32,3) uint8, black if unreadable; `pictures` keeps each."""
    facts, thumbnails = [], np.zeros((len(pictures), THUMBNAIL, THUMBNAIL, 3), np.uint8)
    with ThreadPoolExecutor() as pool:
        for row, (fact, small) in enumerate(pool.map(lambda row: _one(pictures, row), range(len(pictures)))):
            facts.append(fact)
            if small is not None:
                thumbnails[row] = small
            if progress is not None:
                progress(row + 1, len(pictures))
    return facts, thumbnails


def _one(pictures: Pictures, row: int) -> tuple[Facts, np.ndarray | None]:
    path = pictures.paths[row]
    try:
        encoded = picture_bytes(path)
    except FileNotFoundError:
        return Facts(path, reason=tr("there is no such file")), None
    except UnreadablePicture as error:
        return Facts(path, reason=error.reason), None
    head, small, reason = header(encoded), None, ""
    try:
        small = thumbnail(pictures[row])
    except (UnreadablePicture, FileNotFoundError) as error:
        reason = getattr(error, "reason", str(error))
    orientation = exif_orientation(encoded)
    return Facts(
        path, len(encoded), digest(encoded), head.format, head.mode, head.width, head.height, orientation, reason
    ), small


def describe(values: Sequence[int]) -> str:
    """`smallest / median / largest` of some sizes; a dash without any."""
    return f"{min(values):,} / {int(np.median(values)):,} / {max(values):,}" if values else "-"
