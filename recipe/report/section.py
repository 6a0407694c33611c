"""What a section of the page is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Drawing:
    """A chart, as SVG for the page (it takes the page's text colour) and as PNG beside it."""

    name: str  # of the file
    caption: str  # says what is to be seen; also the text for screen readers
    svg: str
    png: bytes
    width: float  # of the SVG, in CSS pixels
    wide: bool = False  # keeps its size on a phone and scrolls


@dataclass(frozen=True)
class Tile:
    """A picture with its caption."""

    image: np.ndarray  # (h, w, 3) uint8
    caption: str
    note: str = ""
    mood: str = ""  # good, bad or empty


@dataclass(frozen=True)
class Tiles:
    """Pictures side by side."""

    name: str
    caption: str
    tiles: Sequence[Tile]
    columns: int = 6  # of the PNG; the page flows


@dataclass(frozen=True)
class Grid:
    """A table; a CSV lies beside the page. Cells are text as shown."""

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    shown: int = 40  # rows on the page; the CSV holds all


@dataclass(frozen=True)
class Section:
    """A heading, sentences, and what proves them."""

    key: str
    title: str
    text: Sequence[str] = ()
    drawings: Sequence[Drawing] = ()
    tiles: Sequence[Tiles] = ()
    grids: Sequence[Grid] = ()
