"""Digits: the 1,797 real scanned digits of 8 x 8 pixels that scikit-learn ships, as pictures with labels 0-9.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998;
the copy in ``sklearn.datasets.load_digits`` is its test part.
"""

from __future__ import annotations

from pathlib import Path

from flyai_local.contest.tables import write_table
from protocol.columns import IMAGE, LABEL

VERSION = "1"
SEED = 20240502
HIDDEN_FRACTION = 0.25
SIDE = 64  # pixels of a written picture; a whole multiple of 8


def write(folder: Path) -> None:
    """Write ``train.csv``, ``hidden.csv`` and the PNG pictures of both parts in folders of the same names.

    Pictures are grey, 64 x 64, bicubic from 8 x 8, dark ink on white paper; the split is stratified by a fixed seed.
    """
    import cv2
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.target))  # names then tell nothing about the writers
    train, hidden = train_test_split(order, test_size=HIDDEN_FRACTION, stratify=digits.target[order], random_state=SEED)
    for part, places in (("train", train), ("hidden", hidden)):
        (folder / part).mkdir(parents=True)
        names = [f"{part}_{at:04d}.png" for at in range(len(places))]
        for name, place in zip(names, places, strict=True):
            ink = cv2.resize(digits.images[place] / 16, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            paper = np.round(255 * (1 - ink)).clip(0, 255).astype(np.uint8)
            (folder / part / name).write_bytes(cv2.imencode(".png", paper)[1].tobytes())
        write_table(
            folder / f"{part}.csv",
            (IMAGE, LABEL),
            ((name, str(digits.target[place])) for name, place in zip(names, places, strict=True)),
        )
