"""Pixels of whatever holds a picture: a path, the bytes of a file, an open file, an array, or a picture of Pillow's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from protocol.language import tr
from recipe.pictures.decode import decode, read, rgb, upright
from recipe.pictures.errors import UnreadablePicture

ORIENTATION = 0x0112  # of EXIF


def pixels(picture: Any) -> np.ndarray:
    """(h, w, 3) uint8 RGB, upright.

    Args:
        picture: a path; the bytes of a picture file; a file opened for reading bytes; an array (h, w), (h, w, 1),
            (h, w, 3) or (h, w, 4) of uint8 in the order RGB; or a picture of Pillow's, which is turned upright as its
            file would be.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadablePicture: it holds no whole picture, or is of another kind.
    """
    if isinstance(picture, (str, os.PathLike)):
        return read(Path(picture))
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return decode(bytes(picture))
    if hasattr(picture, "getexif"):
        return _of_pillow(picture)
    if hasattr(picture, "read"):
        return decode(_read(picture))
    if why := refusal(picture):
        raise UnreadablePicture(tr("in memory"), why)
    return rgb(np.ascontiguousarray(picture))


def name_of(picture: Any) -> str:
    """A path as it was given; `in memory` for anything else."""
    return str(picture) if isinstance(picture, (str, os.PathLike)) else "in memory"


def refusal(picture: Any) -> str:
    """Why an object in memory is of no kind that `pixels` takes, a clause; empty where it is, or is a path."""
    if isinstance(picture, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(picture, "getexif"):
        return ""
    if hasattr(picture, "read"):
        return (
            tr("a file that is opened as text holds no picture; open it with mode 'rb'")
            if hasattr(picture, "encoding")
            else ""
        )
    array = np.asarray(picture)
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if array.dtype == np.uint8 and shaped and array.size:
        return ""
    return tr(
        "{picture} of shape {shape} and type {dtype} is no picture; an array is (h, w), (h, w, "
        "3) or (h, w, 4) of uint8, 0 to 255, in the order RGB",
        picture=type(picture).__name__,
        shape=array.shape,
        dtype=array.dtype,
    )


def _read(file: Any) -> bytes:
    """What is left of an open file; all of it where nothing is, as after it was written."""
    encoded = file.read()
    if not encoded and file.seekable():
        file.seek(0)
        encoded = file.read()
    return bytes(encoded)


def _of_pillow(image: Any) -> np.ndarray:
    mode = "RGBA" if image.has_transparency_data else "L" if image.mode in ("1", "L") else "RGB"
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        raise UnreadablePicture(
            tr("in memory"), tr("Pillow's mode {mode} has no fixed range; give the file instead", mode=image.mode)
        )
    return upright(rgb(np.asarray(image.convert(mode))), int(image.getexif().get(ORIENTATION, 1)))
