"""Equal seconds on one core, prediction included: this project against a timm script and against frozen features.

    python -m benchmarks.equal_time --minutes 4 --set FOLDER --set FOLDER --seeds 1 --json FILE

A set is a folder with train.csv and test.csv. Without --set three are made from what packages ship: the digits of
scikit-learn at 32 px, MushroomSketch as this project draws it, and words in ten typefaces of matplotlib. `ours` is
what a user runs: main.py --minutes, then the prediction of test.csv, both by the clock. Nothing here chooses anything
by test.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import own_sets
from benchmarks.table import EXIT_CODES, ROOT

WHO = ("ours", "timm", "lp-timm", "frozen")
COMPETITION = "EqualTime"


def on_one_core(words: list[str], core: int, folder: Path = ROOT) -> float:
    """Runs a command on one core; its wall seconds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    begin = time.perf_counter()
    pinned = [sys.executable, "-c", PINNED.format(core=core), *words]
    done = subprocess.run(pinned, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()[-600:]}")
    print("\n".join(line for line in done.stdout.splitlines() if line.startswith(("answer", "probe", "out of fold"))))
    return time.perf_counter() - begin


PINNED = """import os, sys
if hasattr(os, "sched_setaffinity"): os.sched_setaffinity(0, {{{core}}})
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"""


def ours(folder: Path, minutes: float, seed: int, core: int, scratch: Path) -> tuple[list[str], float]:
    """Labels of test.csv, and the seconds of training and prediction together."""
    name = f"{COMPETITION}{os.getpid()}"
    data, run = ROOT / "data" / "input" / name, scratch / "run"
    shutil.rmtree(run, ignore_errors=True)
    data.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, data, dirs_exist_ok=True)
    hidden = names_of(folder / "test.csv")
    try:
        words = ["main.py", "--competition", name, "--minutes", f"{minutes}", "--output", str(run), "--no-report"]
        words += ["--hidden-pictures", str(len(hidden)), "--seed", str(seed)]
        seconds = on_one_core(words, core)
        listed = scratch / "pictures.txt"
        listed.write_text("\n".join(str(folder / path) for path, _ in hidden), encoding="utf-8")
        words = ["-m", "benchmarks.equal_time", "--answer", str(run), str(listed), str(scratch / "answers.json")]
        seconds += on_one_core(words, core)
    finally:
        shutil.rmtree(data)
    return json.loads((scratch / "answers.json").read_text(encoding="utf-8")), seconds


def answer(run: Path, listed: Path, out: Path) -> None:
    """The labels that a run gives the pictures of a list."""
    from recipe.serving.predict import Ensemble

    ensemble = Ensemble(run)
    paths = [Path(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    out.write_text(json.dumps([str(found.label) for found in ensemble.stream(paths)]), encoding="utf-8")


def rival(who: str, folder: Path, minutes: float, seed: int, core: int, scratch: Path) -> tuple[list[str], float]:
    """The same of a rival."""
    out = scratch / "rival.json"
    words = ["-m", "benchmarks.rivals", who, str(folder), str(60 * minutes), str(out), str(seed)]
    seconds = on_one_core(words, core)
    return json.loads(out.read_text(encoding="utf-8")), seconds


def names_of(table: Path) -> list[tuple[str, str]]:
    """Paths and labels of a table."""
    with open(table, encoding="utf-8", newline="") as stream:
        return [(row["image_path"], row["label"]) for row in csv.DictReader(stream)]


def measured(who: str, folder: Path, minutes: float, seed: int, core: int) -> dict[str, Any]:
    """One row of the table."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    before = sum(os.times()[2:4])  # processor seconds of finished children
    with tempfile.TemporaryDirectory() as scratch:
        run = ours if who == "ours" else lambda *about: rival(who, *about)
        labels, seconds = run(folder, minutes, seed, core, Path(scratch))
    truth = [label for _, label in names_of(folder / "test.csv")]
    accuracy = sum(a == b for a, b in zip(labels, truth, strict=True)) / len(truth)
    row = {"set": folder.name, "who": who, "minutes": minutes, "seed": seed, "accuracy": round(accuracy, 4)}
    used = sum(os.times()[2:4]) - before
    return row | {"seconds": round(seconds, 1), "processor": round(used, 1), "load": round(load, 1)}


def main() -> int:
    """Measures and prints a line per run; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.equal_time", description=__doc__, epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--answer", nargs=3, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--minutes", type=float, nargs="+", default=[4.0], help="of each run [4]")
    parser.add_argument("--set", type=Path, action="append", default=[], help="folder with train.csv and test.csv")
    parser.add_argument("--who", nargs="+", choices=WHO, default=list(WHO), help="who is measured")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds [0]")
    parser.add_argument("--core", type=int, default=0, help="the core that all of them run on [0]")
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--quick", action="store_true", help="whether it runs: one own set, half a minute, frozen only")
    asked = parser.parse_args()
    if asked.answer:
        answer(*asked.answer)
        return 0
    if asked.quick:
        asked.minutes, asked.who, asked.set = [0.5], ["frozen"], []
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        sets = asked.set or own_sets.make(Path(folder), own_sets.NAMES[:1] if asked.quick else own_sets.NAMES)
        for where in sets:
            for minutes in asked.minutes:
                for seed in asked.seeds:
                    for who in asked.who:
                        rows.append(measured(who, where.resolve(), minutes, seed, asked.core))
                        print(rows[-1], flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
