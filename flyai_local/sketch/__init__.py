"""MushroomSketch: nine genera of mushrooms, drawn by code from a seed (labels 0-8, 540 training and 180 hidden pictures).

    0 Agaricus  1 Amanita  2 Boletus  3 Cortinarius  4 Entoloma  5 Hygrocybe  6 Lactarius  7 Russula  8 Suillus

Every picture has a random generator of its own, so that each can be drawn alone and comes out the same.
"""

from __future__ import annotations

from pathlib import Path

from flyai_local.tables import write_table

VERSION = "2"
SEED = 20240503
CLASSES = 9
COUNTS = {"train": 540, "hidden": 180}


def label(part: str, number: int) -> int:
    """Label of one picture: every class is equally frequent in a part, in shuffled order."""
    import numpy as np

    return int(np.random.default_rng([SEED, len(part)]).permutation(COUNTS[part])[number] % CLASSES)


def draw(part: str, number: int):  # type: ignore[no-untyped-def]
    """One picture, (H, W, 3) uint8 RGB."""
    import numpy as np

    from flyai_local.sketch.genera import GENERA
    from flyai_local.sketch.photo import photograph

    return photograph(np.random.default_rng([SEED, len(part), number]), GENERA[label(part, number)])


def write(folder: Path) -> None:
    """Write ``train.csv``, ``hidden.csv`` and the JPEG pictures of both parts in folders of the same names."""
    import cv2

    for part, count in COUNTS.items():
        (folder / part).mkdir(parents=True)
        names = [f"{part}_{number:03d}.jpg" for number in range(count)]
        for number, name in enumerate(names):
            picture = cv2.cvtColor(draw(part, number), cv2.COLOR_RGB2BGR)
            (folder / part / name).write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes())
        rows = ((name, str(label(part, number))) for number, name in enumerate(names))
        write_table(folder / f"{part}.csv", ("image_path", "label"), rows)
