"""How cost grows with pictures, their size, folds and classes; tables of a million rows; 100,000 answers.

    python -m benchmarks.scale                 # under ten minutes on two cores
    python -m benchmarks.scale --only pictures rows

`exponent` is that of the growth from the row above: 1 is linear, 2 quadratic. A small network (test_efficientnet) and
small pictures, so that what is not the network shows; files are copies of 64 drawn ones. Expected: linear in pictures;
in folds k - 1 times, since every fold trains on the rows of the others; quadratic in the side of the picture; flat in
classes until the classifier's weights and the table of out-of-fold probabilities (pictures x classes) outweigh the
network. A million rows of CSV are read in a process of their own, under 5 s and 1 GB. Streamed predictions leave the
memory where it was: what grows between the first and the last tenth is named.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import synthetic, table
from benchmarks.memory import peak_gb

NETWORK = "test_efficientnet.r160_in1k"
SIDE = 32  # pixels of the network's input


def grown(values: list[int], cost: Callable[[int], table.Row]) -> Iterator[table.Row]:
    """A row per value, with the exponent of each column of seconds since the row above."""
    before: table.Row = {}
    for value in values:
        row = cost(value)
        for column in [name for name in row if name.endswith("seconds")]:
            steps = math.log(value / before["value"]) if before else 0.0
            row[f"{column.removesuffix('_seconds')}_exponent"] = (
                math.log(row[column] / before[column]) / steps if before else None
            )
        yield row
        before = {**row, "value": value}


def pictures(options: argparse.Namespace) -> Iterator[table.Row]:
    """Reading, decoding and epochs against the number of pictures."""
    yield from grown(
        [100, 400] if options.quick else [500, 2000, 8000, 50000],
        lambda count: epoch_of("pictures", count, count=count),
    )


def sizes(options: argparse.Namespace) -> Iterator[table.Row]:
    """The same against the side of the network's input."""
    yield from grown(
        [32, 64] if options.quick else [32, 64, 128, 256],
        lambda side: epoch_of("side", side, side=side, count=96 if options.quick else 512),
    )


def classes(options: argparse.Namespace) -> Iterator[table.Row]:
    """The same against the number of classes, on as many pictures each time."""
    many = [10, 100] if options.quick else [10, 100, 1000, 10000]
    yield from grown(many, lambda number: epoch_of("classes", number, classes=number, count=2 * many[-1], folds=2))


def folds(options: argparse.Namespace) -> Iterator[table.Row]:
    """An epoch of every fold against their number."""
    count = 200 if options.quick else 2000
    for number in [2, 4] if options.quick else [2, 5, 10]:
        row = epoch_of("folds", number, folds=number, count=count)
        yield {**row, "all_folds_seconds": row["epoch_seconds"] * number, "per_fold_trained_on": (number - 1) / number}


def epoch_of(axis: str, value: int, count: int, side: int = SIDE, classes: int = 10, folds: int = 1) -> table.Row:
    """Seconds to read, check and decode; of a later epoch; of a validation."""
    from benchmarks.trial import Trial, contest_config
    from recipe.data.reading import read_folder
    from recipe.pictures.cache import Pictures

    with tempfile.TemporaryDirectory() as name:
        synthetic.write(Path(name), count, classes, height=side, width=side * 4 // 3)
        trial = Trial(
            contest_config(NETWORK, side, 64, folds=folds, memory_format="channels_last", threads=1), Path(name)
        )
        begin = time.perf_counter()
        Pictures(read_folder(name).paths, trial.fold.run.pictures.short_side).load_all()
        decoded = time.perf_counter() - begin
        works = {
            "epoch_seconds": trial.later_epoch,
            "validation_seconds": lambda: trial.fold.validation.probs(trial.fold.model),
        }
        seconds = {name: taken[0] for name, taken in table.in_turns(works, 1).items()}
        return {axis: value, "read_and_decode_seconds": decoded, **seconds}


def rows(options: argparse.Namespace) -> Iterator[table.Row]:
    """Reading a CSV, and making its folds, each number of rows in a process of its own."""
    yield from grown([1000, 10000] if options.quick else [10_000, 100_000, 1_000_000], csv_rows)


def csv_rows(count: int) -> table.Row:
    """Seconds and peak memory of the table of so many lines."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "train.csv"
        with open(file, "w", encoding="utf-8", newline="") as stream:
            stream.write("image_path,label\n")
            stream.writelines(f"image/{row:07d}.jpg,{row % 100}\n" for row in range(count))
        return {"csv_rows": count, **in_process(f"from benchmarks.scale import read_rows; read_rows({str(file)!r})")}


def read_rows(file: str) -> None:
    """Reads the table and makes five folds; prints seconds and the peak of this process as JSON."""
    from recipe.data.folds import make_folds
    from recipe.data.reading import read

    before, begin = peak_gb(), time.perf_counter()
    found = read(file)
    taken, begin = time.perf_counter() - begin, time.perf_counter()
    make_folds(found, 5, 0)
    print(
        json.dumps(
            {
                "read_seconds": taken,
                "folds_seconds": time.perf_counter() - begin,
                "peak_gb": peak_gb(),
                "imports_gb": before,
            }
        )
    )


def stream(options: argparse.Namespace) -> Iterator[table.Row]:
    """Predictions of a stream of paths, in a process of its own."""
    count = 2000 if options.quick else 100_000
    yield {"streamed_paths": count, **in_process(f"from benchmarks.scale import stream_paths; stream_paths({count})")}


def stream_paths(count: int) -> None:
    """Trains a fold of no epochs, answers `count` paths, and prints the memory on the way as JSON."""
    from benchmarks.trial import contest_config
    from recipe.data.reading import read_folder
    from recipe.models.start import start
    from recipe.pictures.cache import Pictures
    from recipe.pictures.preprocessing import short_side
    from recipe.serving.predict import Ensemble
    from recipe.train import cross_validate
    from recipe.training.run import Prepared

    with tempfile.TemporaryDirectory() as name:
        paths = synthetic.write(Path(name) / "pictures", 20, height=SIDE, width=SIDE)
        config = contest_config(NETWORK, SIDE, 8, epochs=0, views="identity()")
        labelled, begun = read_folder(Path(name) / "pictures"), start(config, 2)
        pictures = Pictures(labelled.paths, short_side(begun.preprocessing))
        cross_validate(Prepared(begun, labelled, pictures), Path(name) / "run")
        ensemble, resident = Ensemble(Path(name) / "run"), []
        begin = time.perf_counter()
        for number, _ in enumerate(ensemble.stream(paths[row % len(paths)] for row in range(count))):
            if number % max(1, count // 10) == count // 10 - 1:
                resident.append(resident_gb())
        seconds = time.perf_counter() - begin
    first, last = resident[0], resident[-1]
    found = {
        "images_per_second": count / seconds,
        "after_a_tenth_gb": first,
        "at_the_end_gb": last,
        "grown_mb": 1024 * (last - first),
    }
    print(json.dumps(found))


def resident_gb() -> float:
    """Memory that this process holds now, in GB; its peak where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return peak_gb()
    import resource

    return pages * resource.getpagesize() / 2**30


def in_process(code: str) -> dict[str, float]:
    """The last line that the code prints, read as JSON."""
    done = subprocess.run([sys.executable, "-c", code], cwd=table.ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


AXES = {"pictures": pictures, "sizes": sizes, "folds": folds, "classes": classes, "rows": rows, "stream": stream}


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A table per axis."""
    for axis in options.only:
        yield from AXES[axis](options)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--only", nargs="+", choices=list(AXES), default=list(AXES), help="these tables alone")


if __name__ == "__main__":
    table.main(measure, add_flags)
