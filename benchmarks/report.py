"""What looking back costs: the report of a run, and the table of all runs, each as a whole process.

    python -m benchmarks.report
    python -m benchmarks.report --rows 1620 --records 5000

The run is made up (a network at its start, drawn probabilities, random JPEGs of 320 x 240 pixels), since the time of a
report hangs on the number of rows and the network alone. Seconds are those of the whole command, from the start of
Python to its last line; the goal is 30 s for 2,000 rows and 1 s for 1,000 records, on two cores.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks import table
from recipe.config import Config
from recipe.models.classifier import build, preprocessing
from recipe.runs.checkpoint import save_checkpoint
from recipe.runs.description import Description
from recipe.runs.record import FILE, row_of
from recipe.system.atomic import write_json

FOLDS = 3


def write_pictures(folder: Path, rows: int, side: int = 320) -> list[str]:
    """Random JPEGs with some structure; their names."""
    (folder / "image").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"image/{row:05d}.jpg" for row in range(rows)]
    for name in names:
        coarse = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / name), cv2.resize(coarse, (side, side * 3 // 4), interpolation=cv2.INTER_CUBIC))
    return names


def write_run(folder: Path, data: Path, names: list[str], classes: int, config: Config) -> None:
    """A finished run with drawn out-of-fold probabilities, four times of five right."""
    rng = np.random.default_rng(0)
    labels = np.arange(len(names)) % classes
    leaning = np.where(rng.random(len(names)) < 0.8, labels, rng.integers(classes, size=len(names)))
    logits = rng.normal(size=(len(names), classes)) + 4 * np.eye(classes)[leaning]
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    values = tuple(str(number) for number in range(classes))
    model = build(config, classes)
    for fold in range(FOLDS):
        about = Description(config, values, (1 / classes,) * classes, preprocessing(model, config), fold, 1, 0.8)
        save_checkpoint(folder / f"fold{fold}", model.state_dict(), about)
    with open(folder / "oof.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["image_path", "label", "fold", *(f"p_{value}" for value in values)])
        writer.writerows(
            [name, label, row % FOLDS, *row_probs]
            for row, (name, label, row_probs) in enumerate(zip(names, labels, probs, strict=True))
        )
    folds = {str(fold): {"score": 0.8, "probe": None, "epoch": 1, "seconds": 60.0} for fold in range(FOLDS)}
    totals = {
        "metric": "accuracy",
        "views": "identity()",
        "oof": 0.8,
        "probe_oof": None,
        "mean": 0.8,
        "std": 0.01,
        "seconds": 180.0,
    }
    write_json(folder / "metrics.json", totals | {"oof_plain": 0.8, "oof_views": 0.8, "folds": folds})
    write_json(
        folder / "run.json",
        {
            "config": config.model_dump(),
            "classes": values,
            "values": values,
            "fingerprint": "0" * 12,
            "source": str(data),
            "versions": {},
            "machine": "",
            "began": 0.0,
        },
    )


def seconds_of(*words: str) -> float:
    """Seconds of one command of `python -m recipe`, from start to end."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "recipe", *words], cwd=table.ROOT, check=True, capture_output=True)
    return time.perf_counter() - begin


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row for the report, one for the record."""
    rows, records, rounds = (60, 100, 1) if options.quick else (options.rows, options.records, options.rounds)
    config = Config(
        backbone=options.backbone, pretrained=False, image_size=32 if options.quick else 128, views="identity()"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = write_pictures(folder / "data", rows)
        lines = ["image_path,label", *(f"{name},{row % options.classes}" for row, name in enumerate(names))]
        (folder / "data" / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        write_run(folder / "run", folder / "data", names, options.classes, config)
        took = statistics.median(seconds_of("report", str(folder / "run")) for _ in range(rounds))
        yield {"case": f"report of {rows} rows, {options.backbone}", "seconds": took, "goal_seconds": 30}
        line = json.dumps(row_of(folder / "run"))
        (folder / FILE).write_text((line + "\n") * records, encoding="utf-8")
        took = statistics.median(seconds_of("runs", "--records", str(folder / FILE)) for _ in range(rounds))
        yield {"case": f"runs over {records} records", "seconds": took, "goal_seconds": 1}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--rows", type=int, default=2000, help="out-of-fold rows")
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0", help="a name of this project or timm")


if __name__ == "__main__":
    table.main(measure, add_flags)
