"""Whether speed changed a result: the classes of a whole table by every way to answer, against the network as trained.

    python -m benchmarks.equal data/output/model test.csv
    python -m benchmarks.equal                               # an untrained run and drawn pictures: whether it runs

The reference decodes each picture afresh and asks every fold as it was trained, in eager torch, with its BatchNorms.
`classes` says how many pictures get the reference's class. It ends with 1 where one does not. The run is copied and
exported anew; nothing in it is changed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks import synthetic, table
from benchmarks.untrained import untrained_run
from protocol.csv_file import read_rows
from protocol.strict import ConfigError
from recipe.data.image_paths import find_images
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.runs.checkpoint import load_checkpoint
from recipe.serving.averaging import tempered
from recipe.serving.backends import backend_of
from recipe.serving.export import export_run
from recipe.serving.member import Member
from recipe.serving.predict import Ensemble
from recipe.serving.runtimes import EXPORTED
from recipe.serving.torch import average_views
from recipe.system.runtime import Runtime

WAYS = ("torch", *EXPORTED)


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row per way to answer."""
    with tempfile.TemporaryDirectory() as temporary:
        run, paths = _given(options, Path(temporary))
        paths = paths[:8] if options.quick else paths
        reference = Ensemble(run, "cpu", "torch")
        expected = as_trained(reference, paths, cache_mb=0)
        answers = {"as trained, picture cache": as_trained(reference, paths, cache_mb=4096)}
        for way in WAYS:
            try:
                answers[way] = Ensemble(run, "cpu", way).probs(paths)
            except ConfigError as reason:
                print(reason)
        differ = 0
        for way, probs in answers.items():
            same = int((probs.argmax(1) == expected.argmax(1)).sum())
            differ += len(paths) - same
            yield {
                "answered_by": way,
                "pictures": len(paths),
                "classes": same,
                "largest_difference": f"{np.abs(probs - expected).max():.1e}",
            }
    if differ:
        raise SystemExit(f"{differ} classes differ from those of the network as trained")


def as_trained(ensemble: Ensemble, paths: list[Path], cache_mb: int) -> np.ndarray:
    """(N,K) of the folds in eager torch, unfolded; with a cache, of the pictures as training has them later."""
    probs = [_member(ensemble, member, paths, cache_mb) for member in ensemble.members]
    return tempered(
        np.average(probs, axis=0, weights=ensemble.weights).astype(np.float32), ensemble.serving.temperature
    )


def _member(ensemble: Ensemble, member: Member, paths: list[Path], cache_mb: int) -> np.ndarray:
    pictures = Pictures(paths, short_side(member.preprocessing), cache_mb=cache_mb)
    if cache_mb:
        pictures.load_all()
    models = [load_checkpoint(folder, weights=member.weights_file)[0] for folder in member.folders]
    decoded = (pictures[row] for row in range(len(paths)))
    return np.stack(
        list(average_views(models, decoded, member.views, member.preprocessing, Runtime(torch.device("cpu"))))
    )


def _given(options: argparse.Namespace, temporary: Path) -> tuple[Path, list[Path]]:
    """A copy of the run, exported to everything, and the pictures."""
    if options.run is None:
        run, paths = (
            untrained_run(temporary / "run", "tf_efficientnet_lite0", 64, 2, ()),
            synthetic.write(temporary / "pictures", 64),
        )
    else:
        run = Path(
            shutil.copytree(
                options.run,
                temporary / "run",
                ignore=shutil.ignore_patterns("last", "snapshots", "report", "export.json"),
            )
        )
        names = read_rows(options.csv, [options.image_column])[0].columns[options.image_column]
        paths = list(find_images(options.csv, names, options.images or options.csv.parent)[0])
    for fmt in dict.fromkeys(backend_of(name).FORMATS[-1] for name in EXPORTED):
        export_run(run, fmt)
    return run, paths


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN", help="run folder")
    parser.add_argument("csv", type=Path, nargs="?", metavar="CSV", help="table of the pictures")
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="folder that the CSV's paths are relative to; the CSV's own by default",
    )
    parser.add_argument(
        "--image-column", default="image_path", help="column of the CSV that holds the paths [image_path]"
    )


if __name__ == "__main__":
    table.main(measure, add_flags)
