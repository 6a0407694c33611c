"""The pictures and tables of MushroomSketch. Every picture has a random generator of its own and can be drawn alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from flyai_local.contest.sketch.genera import GENERA
from flyai_local.contest.sketch.photo import photograph
from flyai_local.contest.tables import Row, write_table
from protocol.columns import IMAGE, LABEL

SEED = 20240503
PARTS = {"train": 540, "hidden": 180}
QUALITY = 88  # of the JPEG files


def label(part: str, number: int) -> int:
    """Label of one picture: every class is equally frequent in a part, in shuffled order."""
    return int(np.random.default_rng([SEED, _key(part)]).permutation(PARTS[part])[number] % len(GENERA))


def draw(part: str, number: int) -> np.ndarray:
    """One picture, (H, W, 3) uint8 RGB.

    The same on every call; another processor may differ by a grey level, as its vector units round in another way.
    """
    return photograph(np.random.default_rng([SEED, _key(part), number]), GENERA[label(part, number)])


def write_album(folder: Path) -> None:
    """Write ``train.csv``, ``hidden.csv`` and the JPEG pictures of both parts in folders of the same names."""
    for part, count in PARTS.items():
        (folder / part).mkdir(parents=True)
        names = [f"{part}_{number:03d}.jpg" for number in range(count)]
        for number, name in enumerate(names):
            (folder / part / name).write_bytes(_jpeg(part, number))
        rows = ((name, str(label(part, number))) for number, name in enumerate(names))
        write_table(folder / f"{part}.csv", (IMAGE, LABEL), rows)


def write_training(folder: Path, choose: Callable[[list[Row]], list[Row]]) -> None:
    """Write ``train.csv`` and the pictures of those rows of the training part that `choose` keeps."""
    rows = [Row(f"train_{number:03d}.jpg", str(label("train", number)), number) for number in range(PARTS["train"])]
    kept = choose(rows)
    (folder / "train").mkdir(parents=True)
    for row in kept:
        (folder / "train" / row.picture).write_bytes(_jpeg("train", row.line))
    write_table(folder / "train.csv", (IMAGE, LABEL), ((row.picture, row.label) for row in kept))


def _jpeg(part: str, number: int) -> bytes:
    picture = cv2.cvtColor(draw(part, number), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def _key(part: str) -> int:
    return list(PARTS).index(part)
