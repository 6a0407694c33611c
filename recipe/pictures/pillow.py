"""The few pictures that OpenCV decodes wrongly or not at all, by Pillow, which only they import.

OpenCV 5.0 ignores the rotation boxes of AVIF, gives other colours for a BMP of OS/2, of 16 bits or with odd masks,
multiplies a TIFF's colours by their alpha, forgets the transparent value of a grey PNG, turns YCC in JPEG 2000 into
other colours, and refuses JPEG 2000 of two components and TIFF compressed by Zstandard; `plain` in
recipe/pictures/header.py says which pictures come here. The format is the one that the header names: Pillow does not
guess again.
"""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from typing import Any

import numpy as np

from recipe.pictures.fork_safe import lock

_PLUGINS = {
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "JPEG 2000": ("Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
}
_ORIENTATION = 0x0112
logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)  # the reason is in the exception instead
_warnings_lock = lock()


class TooLarge(ValueError):  # noqa: N818  (says what it is)
    """The picture has more pixels than were allowed: `width`, `height`."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self.width, self.height = width, height


def decode_with_pillow(encoded: bytes, kind: str, max_pixels: int) -> tuple[np.ndarray | None, int]:
    """The first frame, (h, w) grey, (h, w, 3) RGB or (h, w, 4) RGBA, of its own type, and the orientation, 1 to 8.

    Limit: no pixels (None) where the bytes are damaged.

    Raises:
        TooLarge: more than `max_pixels`.
        MemoryError: they do not fit.
    """
    try:
        image, orientation = _opened(encoded, kind)
        if image.width * image.height > max_pixels:
            raise TooLarge(image.width, image.height)
        return _pixels(image), orientation
    except (TooLarge, MemoryError):
        raise
    except (
        Exception
    ):  # Pillow's readers raise anything on damaged files: SyntaxError, KeyError, struct.error, OSError ...
        return None, 1


def _pixels(image: Any) -> np.ndarray:
    image.load()
    if image.mode in ("I", "F"):
        return np.asarray(image)
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    grey = image.mode in ("1", "L")
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "L" if grey else "RGB"))


def _opened(encoded: bytes, kind: str) -> tuple[Any, int]:
    """The picture with its header read, and its orientation; remarks on odd metadata are nobody's business here."""
    module, name = _PLUGINS[kind]
    plugin = getattr(importlib.import_module(f"PIL.{module}"), name)
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = plugin(io.BytesIO(encoded))
        orientation = image.getexif().get(_ORIENTATION, 1)
    return image, orientation if orientation in range(1, 9) else 1
