"""How well the audit finds what is planted: exact copies, mirrored and resized copies, wrong labels.

    python -m benchmarks.audit               # the drawn pictures of MushroomSketch
    python -m benchmarks.audit FOLDER        # a folder with train.csv and pictures; about a minute per 1,000 pictures
    on two cores

A copy of the table is made in a temporary folder: duplicates that it holds already are thinned out to one (so that
every pair left over is a false alarm), 20 pictures are copied byte for byte, 20 are saved anew and smaller, every
second of them mirrored, and 5 % of the labels are replaced by another class. Then the audit runs. Labels that are wrong
in the data already count as false alarms.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks import table
from flyai_local.contest.competitions import competition
from recipe.data.audit.audit import Audit, audit
from recipe.data.audit.probe import FrozenNetwork
from recipe.data.duplicates import duplicate_groups
from recipe.data.reading import read, read_csv
from recipe.data.table import Table
from recipe.pictures import decode


@dataclass(frozen=True)
class Planted:
    """What was put into the table."""

    csv: Path
    copies: dict[str, set[frozenset[str]]]  # kind to pairs of names
    wrong: set[str]  # names under a wrong label


def plant(pictures: Table, folder: Path, copies: int, wrong_share: float, seed: int) -> Planted:
    """Writes copies and a train.csv with wrong labels to `folder`."""
    generator = np.random.default_rng(seed)
    names = [str(path) for path in pictures.paths]
    rows = generator.permutation(len(pictures))
    made: dict[str, set[frozenset[str]]] = {"exact": set(), "near": set(), "mirrored": set()}
    labels = dict(zip(names, pictures.labels.tolist(), strict=True))
    for number, row in enumerate(rows[: 2 * copies].tolist()):
        kind = "exact" if number < copies else ("near", "mirrored")[number % 2]
        target = folder / f"copy{number}{pictures.paths[row].suffix if kind == 'exact' else '.jpg'}"
        target.write_bytes(
            pictures.paths[row].read_bytes() if kind == "exact" else changed(pictures.paths[row], kind, generator)
        )
        made[kind].add(frozenset((names[row], str(target))))
        labels[str(target)] = labels[names[row]]
    wrong = [names[row] for row in rows[2 * copies : 2 * copies + round(wrong_share * len(pictures))].tolist()]
    for name in wrong:
        labels[name] = (labels[name] + int(generator.integers(1, len(pictures.classes)))) % len(pictures.classes)
    csv_file = folder / "train.csv"
    with open(csv_file, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(
            [("image_path", "label"), *((name, pictures.classes[label]) for name, label in labels.items())]
        )
    return Planted(csv_file, made, set(wrong))


def changed(path: Path, kind: str, generator: np.random.Generator) -> bytes:
    """The picture at 40 to 90 % of its size as a JPEG of quality 60 to 90, mirrored or not."""
    image = decode.read(path)
    image = decode.resize_short(image, max(16, round(min(image.shape[:2]) * generator.uniform(0.4, 0.9))))
    image = image[:, ::-1] if kind == "mirrored" else image
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(generator.integers(60, 91))]
    return cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), quality)[1].tobytes()


def scores(name: str, found: set, planted: set) -> table.Row:
    """Planted, found, right, recall and precision of a finder."""
    right = len(found & planted)
    recall = right / len(planted) if planted else None
    precision = right / len(found) if found else None
    return {
        "finder": name,
        "planted": len(planted),
        "found": len(found),
        "right": right,
        "recall": recall,
        "precision": precision,
    }


def lines(found: Audit, planted: Planted) -> Iterator[table.Row]:
    """A row per finder."""
    names = found.table.names
    pairs = {
        kind: {frozenset((names[p.row], names[p.other])) for p in found.pairs if p.kind == kind}
        for kind in planted.copies
    }
    for kind in pairs:
        yield scores(f"{kind} duplicates", pairs[kind], planted.copies[kind])
    yield scores("all duplicates", set().union(*pairs.values()), set().union(*planted.copies.values()))
    suspects = [names[suspect.row] for suspect in found.suspects]
    yield scores("wrong labels", set(suspects), planted.wrong)
    surest = suspects[: len(planted.wrong)]
    yield scores(f"wrong labels, surest {len(surest)}", set(surest), planted.wrong)


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row per finder, and the probe's accuracies."""
    card = None if options.folder else competition("Digits" if options.quick else "MushroomSketch")
    pictures = read(card.train, card.image_column, card.label_column, card.images) if card else read(options.folder)
    first = np.sort(np.unique(duplicate_groups(pictures), return_index=True)[1])
    with tempfile.TemporaryDirectory() as folder:
        planted = plant(pictures.take(first), Path(folder), options.copies, options.wrong, options.seed)
        found = audit(read_csv(planted.csv), network=FrozenNetwork("tf_efficientnet_lite0", options.image_size))
        print(
            f"{pictures.source.name}: {len(pictures)} rows, "
            f"{len(pictures) - len(first)} duplicates thinned out; {found.note}"
        )
        yield from lines(found, planted)
    yield {"probe": "plain folds", "accuracy": found.plain_accuracy}
    yield {"probe": "duplicates together", "accuracy": found.aware_accuracy}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument(
        "folder", type=Path, nargs="?", help="folder with train.csv and pictures (default: an embedded competition)"
    )
    parser.add_argument("--copies", type=int, default=20, help="of each kind, exact and changed (default 20)")
    parser.add_argument("--wrong", type=float, default=0.05, help="share of labels made wrong (default 0.05)")
    parser.add_argument("--image-size", type=int, default=128, help="of the probe (default 128)")
    parser.add_argument("--seed", type=int, default=0)


if __name__ == "__main__":
    table.main(measure, add_flags)
