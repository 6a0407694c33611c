"""Labelled pictures from a folder per class, below whatever an archive or a division into parts put around them.

What is not read is said: another part, pictures beside the class folders, files that are no pictures by their name.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from protocol.labels import similar
from protocol.language import tr
from protocol.picture_paths import by_suffix, is_litter, is_picture_name, pictures_below
from recipe.data.findings import DataError, Finding
from recipe.data.image_paths import PICTURE_SUFFIXES
from recipe.data.table import Table

_TRAIN = {"train", "training"}
_NOTES = {".txt", ".md", ".json", ".xml", ".csv", ".yaml", ".yml", ".html", ".ini"}  # nobody takes them for pictures
_PARTS = _TRAIN | {"val", "valid", "validation", "test", "testing"}


def read_folder(folder: str | os.PathLike[str]) -> Table:
    """The table of a folder that holds one folder of pictures per class; sub-folders of a class count to it.

    Labels are the folder names, as text, in alphabetical order. Of train, valid and test folders, also under names
    such as `seg_train` where they hold the classes, the train folder is read; a folder that holds nothing but another
    one is passed through.

    Raises:
        DataError: no class folders, or no pictures in them.
    """
    folder = _within(Path(folder).absolute())
    classes = _folders(folder)
    parts = [path for path in classes if _words(path) & _PARTS]
    exact = bool(classes) and all(path.name.lower() in _PARTS for path in classes)
    if exact or any(map(_holds_classes, parts)):
        return _of_parts(folder, classes)
    return _of_classes(folder, classes)


def _within(folder: Path) -> Path:
    """The folder itself, or the one that archives wrap once more: alone in it, and with folders of its own."""
    inner = _folders(folder)
    if len(inner) == 1 and not _pictures_in(folder) and not _pictures_in(inner[0]) and _folders(inner[0]):
        return _within(inner[0])
    return folder


def _holds_classes(part: Path) -> bool:
    inside = _within(part)
    if inside == part and not _pictures_in(part):
        return len(_folders(part)) > 1
    return inside != part


def _of_parts(folder: Path, parts: Sequence[Path]) -> Table:
    """The table of the part to train on; the others are named."""
    trains = [path for path in parts if _words(path) & _TRAIN]
    if not trains:
        names = ", ".join(path.name for path in parts)
        said = tr("{folder} holds {classes} but no train folder; give the folder with the classes.",
                  folder=folder, classes=names)  # fmt: skip
        raise DataError(said)
    table = read_folder(trains[0])
    others = ", ".join(path.name for path in parts if path != trains[0])
    if not others:
        return table
    what = tr("{train} is read, and not what lies beside it: {others}", train=trains[0].name, others=others)
    remedy = tr("give the folder that holds the classes if another one is meant")
    return replace(table, findings=(Finding(folder, 0, "other-part", what, remedy), *table.findings))


def _of_classes(folder: Path, classes: Sequence[Path]) -> Table:
    others: Counter[str] = Counter()
    files = [(path, label) for label, sub in enumerate(classes) for path in pictures_below(sub, others)]
    others = Counter({suffix: count for suffix, count in others.items() if suffix not in _NOTES})
    loose = _pictures_in(folder)
    if not files:
        raise DataError(_nothing(folder, loose))
    names = tuple(path.name for path in classes)
    empty = sorted(set(range(len(names))) - {label for _, label in files})
    return Table(
        paths=tuple(path for path, _ in files),
        labels=np.array([label for _, label in files], np.int64),
        classes=names,
        values=names,
        source=folder,
        names=tuple(path.relative_to(folder).as_posix() for path, _ in files),
        lines=(0,) * len(files),
        findings=(
            *(_empty(folder / names[label]) for label in empty),
            *similar(folder, names),
            *_not_read(folder, loose, others),
        ),
    )


def _empty(folder: Path) -> Finding:
    return Finding(
        folder, 0, "empty-class", tr("the class folder holds no picture"), tr("add pictures or remove it")
    )  # fmt: skip


def _not_read(folder: Path, loose: int, others: Counter[str]) -> list[Finding]:
    """Files that look as if they were meant and are not read."""
    found = []
    if loose:
        what = tr("{count} pictures lie beside the class folders and belong to no class", count=loose)
        found.append(Finding(folder, 0, "loose-pictures", what, tr("move them into the folders of their classes")))
    if others:
        what = tr("{count} files in the class folders are no pictures by their names: {kinds}",
                  count=others.total(), kinds=by_suffix(others))  # fmt: skip
        found.append(Finding(folder, 0, "other-files", what, tr("save pictures among them as JPEG or PNG")))
    return found


def _nothing(folder: Path, loose: int) -> str:
    if loose:
        return tr(
            "{folder} holds {count} pictures and no folder of a class. Put each into a folder that is named as its "
            "class, or write a CSV with the columns image_path and label.",
            folder=folder,
            count=loose,
        )
    return tr(
        "{folder} holds no pictures to learn from. Accepted are a CSV file, a folder with a "
        "train.csv, a folder with one folder of pictures per class ({picture_suffixes}), and the "
        "unpacked CIFAR-10 or CIFAR-100 files.",
        folder=folder,
        picture_suffixes=", ".join(sorted(PICTURE_SUFFIXES)),
    )


def _words(path: Path) -> set[str]:
    return set(re.findall(r"[a-z]+", path.name.lower()))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_litter(path.name))


def _pictures_in(folder: Path) -> int:
    """How many pictures lie in a folder itself."""
    return sum(is_picture_name(path.name) and path.is_file() for path in folder.iterdir())
