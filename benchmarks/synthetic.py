"""Pictures for the benchmarks: like photographs in size and grain, drawn from a seed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

GRAIN = ((8, 90.0), (40, 50.0), (160, 20.0), (375, 10.0))  # rows of noise, and its weight


def picture(seed: int, height: int = 375, width: int = 500) -> np.ndarray:
    """Noise at several scales, (height, width, 3) uint8; as a JPEG of quality 90 it takes about 60 KB at 375 x 500."""
    generator = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.float32)
    for rows, weight in GRAIN:
        noise = generator.random((min(rows, height), min(rows, height) * 4 // 3, 3), dtype=np.float32)
        image += weight * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return image.clip(0, 255).astype(np.uint8)


def write(
    folder: Path, number: int, classes: int = 2, height: int = 375, width: int = 500, drawn: int = 64
) -> list[Path]:
    """Files in a folder per class, JPEG of quality 90, PNG below 64 pixels; `drawn` differ, the others are copies."""
    kind, quality = (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 90]) if height >= 64 else (".png", [])
    contents = [
        cv2.imencode(kind, picture(seed, height, width), quality)[1].tobytes() for seed in range(min(drawn, number))
    ]
    for label in range(classes):
        (folder / f"{label:05d}").mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{row % classes:05d}" / f"{row:06d}{kind}" for row in range(number)]
    for row, path in enumerate(paths):
        path.write_bytes(contents[row % len(contents)])
    return paths
