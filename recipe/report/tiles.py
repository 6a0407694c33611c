"""Pictures for the page (one small WebP each) and for a PNG beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure

from recipe.decode import centre_crop, resize_short
from recipe.report.figure import draw
from recipe.report.section import Tiles

SIDE = 128  # pixels; the page shows them at that size or smaller


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
    ratio = max(tile.image.shape[1] / tile.image.shape[0] for tile in tiles.tiles)

    def paint(figure: Figure) -> None:
        for place, tile in enumerate(tiles.tiles):
            axes = figure.add_axes(((place % columns) / columns, 1 - (place // columns + 0.8) / rows, 0.96 / columns, 0.78 / rows))
            axes.imshow(tile.image)
            axes.set_axis_off()
            axes.text(0, -0.04, _broken(tile.caption), fontsize=7, va="top", transform=axes.transAxes)

    return draw(tiles.name, tiles.caption, paint, (1.55 * ratio * columns, 1.95 * rows)).png


def _broken(text: str, width: int = 24) -> str:
    return "\n".join(text[start : start + width] for start in range(0, min(len(text), 3 * width), width))


def beside(images: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of one height in one row with a gap of four pixels."""
    gap = np.full((images[0].shape[0], 4, 3), 128, np.uint8)
    parts = [part for image in images for part in (image, gap)]
    return np.concatenate(parts[:-1], axis=1)
