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


def pixels(picture: Any, side: int = 0) -> np.ndarray:
    """(h, w, 3) uint8 RGB, upright.

    Args:
        picture: a path; the bytes of a picture file; a file opened for reading bytes, wherever it stands; an array
            (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) of uint8 in the order RGB; or a picture of Pillow's, which is
            turned upright as its file would be.
        side: the short side that it is resized to afterwards, as `decode` takes it; 0 keeps every pixel.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadablePicture: it holds no whole picture, or is of another kind.
    """
    if isinstance(picture, (str, os.PathLike)):
        return read(Path(picture), side)
    if why := refusal(picture):
        raise UnreadablePicture(tr("in memory"), why)
    if _is_bytes(picture):
        return decode(bytes(picture), side=side)
    if hasattr(picture, "getexif"):
        return _of_pillow(picture)
    if hasattr(picture, "read"):
        return decode(_read(picture), side=side)
    return rgb(np.ascontiguousarray(picture))


def name_of(picture: Any) -> str:
    """A path as it was given; `in memory` for anything else."""
    return str(picture) if isinstance(picture, (str, os.PathLike)) else "in memory"


def refusal(picture: Any) -> str:
    """Why an object in memory is of no kind that `pixels` takes, a clause; empty where it is, or is a path."""
    if isinstance(picture, (str, os.PathLike, bytes, bytearray)):
        return ""
    if hasattr(picture, "getexif"):
        return _refusal_of_pillow(picture)
    return _refusal_of_file(picture) if hasattr(picture, "read") else _refusal_of_array(picture)


def _refusal_of_pillow(image: Any) -> str:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return tr("Pillow's mode {mode} has no fixed range; give the file instead", mode=image.mode)
    return ""


def _refusal_of_file(file: Any) -> str:
    if hasattr(file, "encoding"):
        return tr("a file that is opened as text holds no picture; open it with mode 'rb'")
    if getattr(file, "closed", False) or not getattr(file, "readable", lambda: True)():
        return tr("the file is closed, or not opened for reading; open it with mode 'rb'")
    return ""


def _refusal_of_array(picture: Any) -> str:
    try:
        array = np.asarray(picture)
    except Exception as error:  # a tensor of a GPU or with gradients, lists of unequal length: each library its own
        what = tr(
            "{picture} is no array ({error})", picture=type(picture).__name__, error=str(error).split("\n")[0][:150]
        )
    else:
        shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
        if array.dtype == np.uint8 and (shaped or _is_bytes(picture)) and array.size:
            return ""
        what = tr(
            "{picture} of shape {shape} and type {dtype} is no picture",
            picture=type(picture).__name__,
            shape=array.shape,
            dtype=array.dtype,
        )
    return tr("{what}; an array is (h, w), (h, w, 3) or (h, w, 4) of uint8, 0 to 255, in the order RGB", what=what)


def _is_bytes(picture: Any) -> bool:
    return isinstance(picture, (bytes, bytearray)) or (isinstance(picture, memoryview) and picture.ndim == 1)


def _read(file: Any) -> bytes:
    """All of an open file, from its start wherever it stands, as Pillow does."""
    if getattr(file, "seekable", lambda: False)():
        file.seek(0)
    return bytes(file.read())


def _of_pillow(image: Any) -> np.ndarray:
    image, turn = image.convert("LA") if image.mode == "La" else image, image.getexif().get(ORIENTATION, 1)
    mode = "RGBA" if image.has_transparency_data else "L" if image.mode in ("1", "L") else "RGB"
    return upright(rgb(np.asarray(image.convert(mode))), int(turn))
