"""Prediction against the naive loop: eager, NCHW, one view and one fold at a time.

    python -m benchmarks.predict                             # EfficientNet-Lite0 at 224 px, about 20 minutes on two
    cores
    python -m benchmarks.predict --backbone resnet18 --size 128 --pictures 20

From files of 375 x 500 pixels to averaged probabilities, decoding included, for every one alike. `ratio` is the naive
loop's time over the candidate's, `difference` the largest of a probability. One picture is `Predictor.predict`, many
are `predict_many`. The eight views are dihedral(). Expected on two cores for 5 folds x 8 views: OpenVINO above 3, torch
1.5 to 2.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import synthetic, table
from benchmarks.untrained import untrained_run
from protocol.strict import ConfigError
from recipe.components.views import build_views
from recipe.pictures.decode import read, resize_short
from recipe.pictures.preprocessing import short_side
from recipe.runs.checkpoint import load_checkpoint
from recipe.runs.description import fold_folders
from recipe.runs.ensemble import Answering, write_answering
from recipe.serving.backends import backend_of
from recipe.serving.predict import Ensemble
from recipe.serving.runtimes import EXPORTED
from recipe.system.memory import keep_freed_blocks

VIEWS = {1: "identity()", 8: "dihedral()"}


def naive(run: Path, views: str) -> Callable[[list[Path]], np.ndarray]:
    """The loop that a first version of a submission has."""
    loaded = [load_checkpoint(folder) for folder in fold_folders(run)]
    preprocessing = loaded[0][1].preprocessing
    seen = build_views(views, preprocessing.size)

    def one(path: Path) -> np.ndarray:
        picture = resize_short(read(path), short_side(preprocessing))
        images = [
            preprocessing.normalise(torch.from_numpy(view(picture).copy()).permute(2, 0, 1)[None].contiguous())
            for view in seen
        ]
        with torch.inference_mode():
            return np.mean(
                [[model(image).softmax(1)[0].numpy() for image in images] for model, _ in loaded], axis=(0, 1)
            )

    return lambda paths: np.stack([one(path) for path in paths])


def candidates(run: Path, views: str) -> dict[str, Callable[[list[Path]], np.ndarray]]:
    """The naive loop, torch, and every runtime that is installed."""
    write_answering(run, Answering(views=views))
    found: dict[str, Callable[[list[Path]], np.ndarray]] = {"naive": naive(run, views)}
    for runtime in ("torch", *EXPORTED):
        try:
            found[runtime] = Ensemble(run, "cpu", runtime).probs
        except ConfigError as reason:
            print(reason)
    return found


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row for each candidate, number of pictures, folds and views."""
    keep_freed_blocks()
    size, many, most, rounds = (
        (64, 4, 2, 1) if options.quick else (options.size, options.pictures, options.folds, options.rounds)
    )
    formats = tuple(dict.fromkeys(backend_of(name).FORMATS[-1] for name in EXPORTED))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = synthetic.write(folder / "pictures", many)
        run = untrained_run(folder / "run", options.backbone, size, most, formats)
        shutil.copytree(run / "fold0", folder / "one" / "fold0")
        for folds, where in {1: folder / "one", most: run}.items():
            for views, names in VIEWS.items():
                works = candidates(where, names)
                for count in (1, many):
                    # a single picture is over in milliseconds: as many as take a second or so
                    times = 1 if options.quick or count > 1 else max(1, 40 // (folds * views))
                    yield from _rows(works, paths[:count], times, rounds, f"{folds} folds x {views} views")


def _rows(
    works: dict[str, Callable[[list[Path]], np.ndarray]], paths: list[Path], times: int, rounds: int, case: str
) -> Iterator[table.Row]:
    probs = {name: work(paths) for name, work in works.items()}
    seconds = table.in_turns({name: partial(_repeat, work, paths, times) for name, work in works.items()}, rounds)
    for name, taken in seconds.items():
        yield {
            "case": case,
            "pictures": len(paths),
            "answered_by": name,
            "ms_per_picture": 1000 * statistics.median(taken) / len(paths) / times,
            "ratio": table.ratio(seconds["naive"], taken),
            "difference": f"{np.abs(probs[name] - probs['naive']).max():.1e}",
        }


def _repeat(work: Callable[[list[Path]], np.ndarray], paths: list[Path], times: int) -> None:
    for _ in range(times):
        work(paths)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--backbone", default="tf_efficientnet_lite0", help="network [tf_efficientnet_lite0]")
    parser.add_argument("--size", type=int, default=224, help="pixels of the network's input [224]")
    parser.add_argument("--pictures", type=int, default=100, help="pictures of the long case [100]")
    parser.add_argument("--folds", type=int, default=5, help="folds of the large run [5]")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per measurement [3]")


if __name__ == "__main__":
    table.main(measure, add_flags)
