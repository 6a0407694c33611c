"""Small projects and data for the tests of the SDK stand-ins."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SDK = Path(__file__).resolve().parent.parent / "flyai_local" / "sdk"
COLOURS = np.array([[r, g, b] for r in (40, 128, 216) for g in (40, 128, 216) for b in (60,)])


def write_pictures(folder, count, seed=0, classes=9, size=48):
    """Write `count` PNG files of one colour per class with noise; return rows (file name, int label) in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        label = number % classes
        noise = rng.normal(0, 25, (size, size, 3))
        pixels = np.clip(COLOURS[label] + noise, 0, 255).astype(np.uint8)
        name = f"{number:03d}_{seed}.png"
        Image.fromarray(pixels).save(folder / name)
        rows.append((name, label))
    return rows


def write_table(path, rows, header=("image_path", "label")):
    """Write a CSV as the platform does: no index, no quoting where none is needed, line feeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def place(folder, count=100, label=int):
    """Place train.csv and its pictures in `folder`, as a competition's training part."""
    rows = write_pictures(folder / "image", count)
    write_table(folder / "train.csv", [(f"./image/{name}", label(number)) for name, number in rows])


def run_python(project, *arguments, **variables):
    """Run Python in a project as the platform does, the SDK on PYTHONPATH; return the finished process."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "TMPDIR", "TEMP") if name in os.environ}
    environment = {
        **kept,
        "PYTHONPATH": str(SDK),
        "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": "1",
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
        "FLYAI_LOCAL_RUN": "1",
        **variables,
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
