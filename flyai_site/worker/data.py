"""What a worker fetches: data of contests by hash, kept while there is room; archives, forgotten after their run."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from flyai_local.contest.competitions import Competition
from flyai_local.home import home
from flyai_local.remote.site import Site
from flyai_local.submission.unpack import unpack

__all__ = ["Data", "archive", "data"]

KEPT = 4  # contests' data that stay in the cache
MAX_MB, MAX_FILES = 500_000, 5_000_000  # of a contest's data, which comes from the organiser


@dataclass(frozen=True)
class Data:
    """A contest's data on this machine."""

    card: Competition
    numbers: dict[str, str]  # of a contest of answers: the name that participants see, the hidden picture's own


def data(site: Site, sha256: str, minutes: float) -> Data:
    """A contest's data, fetched unless it is here."""
    folder = _cache() / sha256
    if not folder.is_dir():
        packed = _cache() / f"{sha256}.zip"
        site.fetch(f"/api/blobs/{sha256}", packed, sha256)
        unfinished = _cache() / f".{sha256}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unpack(packed, unfinished, MAX_MB, MAX_FILES)
        packed.unlink()
        unfinished.replace(folder)
    os.utime(folder)
    _forget_oldest()
    about = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card = Competition(
        id=about["id"],
        image_column=about["image_column"],
        label_column=about["label_column"],
        metric=about["metric"],
        train=folder / "train.csv",
        images=folder / "train",
        hidden=folder / "hidden.csv",
        hidden_images=folder / "hidden",
        embedded=False,
        minutes=minutes,
    )
    with (folder / "numbers.csv").open(encoding="utf-8", newline="") as file:
        numbers = {row["id"]: row["picture"] for row in csv.DictReader(file)}
    return Data(card, numbers)


def archive(site: Site, sha256: str, target: Path) -> Path:
    """The upload of a run, fetched to `target`."""
    site.fetch(f"/api/blobs/{sha256}", target, sha256)
    return target


def _cache() -> Path:
    folder = home() / "contests"
    folder.mkdir(exist_ok=True)
    return folder


def _forget_oldest() -> None:
    kept = sorted((f for f in _cache().iterdir() if f.is_dir() and f.name[0] != "."), key=lambda f: -f.stat().st_mtime)
    for folder in kept[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
