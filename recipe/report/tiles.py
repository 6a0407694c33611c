"""Pictures for the page (one small WebP each) and for a PNG beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure

from recipe.pictures.decode import centre_crop, resize_short
from recipe.report.section import DOTS_PER_INCH, Tiles, draw

SIDE = 128  # pixels; the page shows them at that size or smaller
CAPTION = 44  # pixels below a tile of the PNG


def square(image: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The centre of a picture, (side, side, 3)."""
    return centre_crop(resize_short(image, side), side)


def address(image: np.ndarray, quality: int = 78) -> str:
    """A picture as a data address."""
    encoded = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
    return "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def contact_sheet(tiles: Tiles) -> bytes:
    """All tiles in one PNG with their captions."""
    columns = min(tiles.columns, len(tiles.tiles))
    rows = -(-len(tiles.tiles) // columns)
    height, width = tiles.tiles[0].image.shape[:2]
    sheet = np.full((rows * (height + CAPTION), columns * (width + 8), 3), 255, np.uint8)
    for place, tile in enumerate(tiles.tiles):
        top, left = place // columns * (height + CAPTION), place % columns * (width + 8)
        sheet[top : top + height, left : left + width] = tile.image

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(sheet, interpolation="none")
        axes.set_axis_off()
        for place, tile in enumerate(tiles.tiles):
            where = place % columns * (width + 8), place // columns * (height + CAPTION) + height + 3
            axes.text(*where, _broken(tile.caption, width // 6), fontsize=7, va="top")

    inches = (sheet.shape[1] / DOTS_PER_INCH, sheet.shape[0] / DOTS_PER_INCH)
    return draw(tiles.name, tiles.caption, paint, inches, arranged=False).png


def _broken(text: str, width: int) -> str:
    return "\n".join(text[start : start + width] for start in range(0, min(len(text), 3 * width), width))


def beside(images: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of one height in one row with a gap of four pixels."""
    gap = np.full((images[0].shape[0], 4, 3), 128, np.uint8)
    parts = [part for image in images for part in (image, gap)]
    return np.concatenate(parts[:-1], axis=1)
