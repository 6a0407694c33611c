"""Small data sets on disk, for the tests of reading and checking them."""

from __future__ import annotations

import collections
from pathlib import Path

import cv2
import numpy as np


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def write(folder: Path, text: str | bytes, name: str = "train.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def rows(labels: list, form: str = "image/{}.png") -> str:
    return "image_path,label\n" + "".join(f"{form.format(number)},{label}\n" for number, label in enumerate(labels))


def kinds(findings) -> dict[str, int]:
    return dict(collections.Counter(finding.kind for finding in findings))
