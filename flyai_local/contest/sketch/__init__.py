"""MushroomSketch: nine genera of mushrooms drawn by code from a seed (labels 0-8, 540 training and 180 hidden).

0 Agaricus  1 Amanita  2 Boletus  3 Cortinarius  4 Entoloma  5 Hygrocybe  6 Lactarius  7 Russula  8 Suillus
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flyai_local.contest.tables import Row

VERSION = "5"  # a new one whenever a picture changes: it names the folder of the cache


def write(folder: Path) -> None:
    """Draw all pictures and write them with their tables; about 20 seconds on one core."""
    from flyai_local.contest.sketch.album import (
        write_album,  # numpy and OpenCV, which listing competitions does not need
    )

    write_album(folder)


def write_training(folder: Path, choose: Callable[[list[Row]], list[Row]]) -> None:
    """Draw the training pictures of the rows that `choose` keeps, and no other; a few take a second."""
    from flyai_local.contest.sketch import album

    album.write_training(folder, choose)
