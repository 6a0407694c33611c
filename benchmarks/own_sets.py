"""Sets of pictures made from what packages ship, for `benchmarks.equal_time`: folders with train.csv and test.csv."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

NAMES = ("digits", "sketches", "typefaces")
TYPEFACES = (
    "DejaVuSans", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono", "cmr10", "cmtt10",
    "cmss10", "STIXGeneral", "STIXGeneralItalic",
)  # fmt: skip


def make(folder: Path, names: Sequence[str] = NAMES) -> list[Path]:
    """The folders of the sets of those names."""
    return [MAKERS[name](folder / name) for name in names]


def digits(folder: Path) -> Path:
    """scikit-learn's 1,797 digits of 8 x 8 pixels, enlarged to 32: 900 to learn from."""
    from sklearn.datasets import load_digits

    found = load_digits()
    shown = [
        cv2.resize((15 * image).astype(np.uint8), (32, 32), interpolation=cv2.INTER_CUBIC) for image in found.images
    ]
    return _written(folder, shown, [f"d{label}" for label in found.target], 900)


def typefaces(folder: Path) -> Path:
    """Words in ten typefaces that matplotlib ships, turned and of many sizes: 500 to learn from, unequal classes."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    random, shown, labels = np.random.default_rng(0), [], []
    files = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for number, name in enumerate(TYPEFACES):
        for _ in range(130 - 8 * number):
            font = ImageFont.truetype(str(files / f"{name}.ttf"), int(random.integers(26, 60)))
            paper = Image.new("RGB", (240, 180), tuple(random.integers(150, 256, 3).tolist()))
            word = "".join(random.choice(list("abcdefghiklmnoprstuvwxyz"), 6))
            place = (int(random.integers(5, 60)), int(random.integers(20, 90)))
            ImageDraw.Draw(paper).text(place, word, font=font, fill=tuple(random.integers(0, 110, 3).tolist()))
            shown.append(np.asarray(paper.rotate(float(random.uniform(-25, 25)), fillcolor=(128, 128, 128))))
            labels.append(name)
    return _written(folder, shown, labels, 500)


def sketches(folder: Path) -> Path:
    """MushroomSketch, which flyai_local draws: its rows divided into three quarters and one."""
    root = Path(__file__).resolve().parent.parent
    source = root / "data" / "input" / "MushroomSketch"
    if not (source / "train.csv").exists():
        program = "import sys; sys.path[:0] = ['.', 'flyai_local/sdk']; from flyai.data_helper import DataHelper; "
        program += "DataHelper().download_from_ids('MushroomSketch')"
        subprocess.run([sys.executable, "-c", "import path; " + program], cwd=root, check=True, capture_output=True)
    with open(source / "train.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    folder.mkdir(parents=True)
    order = np.random.default_rng(0).permutation(len(rows))
    for number, row in enumerate(rows):
        target = folder / row["image_path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / row["image_path"], target)
        rows[number] = {"image_path": row["image_path"], "label": row["label"]}
    return _tables(folder, [rows[i] for i in order], len(rows) * 3 // 4)


def _written(folder: Path, shown: Sequence[np.ndarray], labels: Sequence[str], train: int) -> Path:
    """The pictures as PNG in a random order, the first `train` of them in train.csv."""
    (folder / "image").mkdir(parents=True)
    rows = []
    for number, row in enumerate(np.random.default_rng(0).permutation(len(shown)).tolist()):
        name = f"image/{number:05d}.png"
        cv2.imwrite(str(folder / name), shown[row][..., ::-1] if shown[row].ndim == 3 else shown[row])
        rows.append({"image_path": name, "label": labels[row]})
    return _tables(folder, rows, train)


def _tables(folder: Path, rows: Sequence[dict[str, str]], train: int) -> Path:
    for part, chosen in (("train", rows[:train]), ("test", rows[train:])):
        with open(folder / f"{part}.csv", "w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, ["image_path", "label"])
            writer.writeheader()
            writer.writerows(chosen)
    return folder


MAKERS = {"digits": digits, "sketches": sketches, "typefaces": typefaces}
