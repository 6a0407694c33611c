"""Labelled pictures as a table, from a CSV, a folder per class, or CIFAR files: `read` chooses by what it finds.

    table = read("train.csv", images="pictures")                  # or a folder
    pictures = Pictures(table.paths, short_side=224)
    table, findings = check(table, folds=5, pictures=pictures)    # rows that cannot be used are left out and named
    pictures = pictures.of(table.paths)                           # what the check decoded is not decoded again
    folds = make_folds(table, folds=5, seed=0)

`read_labelled` gives a table that a trained run has not seen the run's own class numbers. docs/data.md shows every
accepted layout and every message.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from protocol.columns import IMAGE, LABEL
from protocol.csv_file import read_rows
from protocol.labels import Value
from protocol.language import tr
from recipe.data.cifar_files import is_cifar, read_cifar_files
from recipe.data.class_folders import read_folder
from recipe.data.findings import DataError, Finding
from recipe.data.image_paths import find_images
from recipe.data.labels import type_labels
from recipe.data.table import Table
from recipe.pictures.paths import PathColumn, taken


def read(
    source: str | os.PathLike[str],
    image_column: str = IMAGE,
    label_column: str = LABEL,
    images: str | os.PathLike[str] | None = None,
    group_column: str | None = None,
    values: Sequence[Value] | None = None,
    encoding: str = "",
) -> Table:
    """The table at `source`: a CSV file, or a folder with a train.csv, CIFAR files or a folder per class.

    Raises:
        DataError: nothing of the kind is there, or what is there cannot be used.
    """
    source = Path(source)
    if source.is_file():
        return read_csv(source, image_column, label_column, images, group_column, values, encoding)
    if not source.is_dir():
        raise DataError(
            tr(
                "There is no file or folder {source!r} (working directory {cwd}). Check the path, and "
                "what a download said.",
                source=os.fspath(source),
                cwd=Path.cwd(),
            )
        )
    if (source / "train.csv").is_file():
        return read_csv(source / "train.csv", image_column, label_column, images, group_column, values, encoding)
    return read_cifar(source) if is_cifar(source) else read_folder(source)


def read_csv(
    csv: str | os.PathLike[str],
    image_column: str = IMAGE,
    label_column: str = LABEL,
    images: str | os.PathLike[str] | None = None,
    group_column: str | None = None,
    values: Sequence[Value] | None = None,
    encoding: str = "",
) -> Table:
    """The table of a CSV file with one labelled picture per line.

    Args:
        csv: UTF-8 (with or without BOM), UTF-16 with BOM or GBK; fields divided by comma, semicolon or tab; any line
            ending.
        image_column: name of the column that holds the pictures' paths.
        label_column: name of the column that holds the labels.
        images: the folder that the paths are relative to; by default the folder of the CSV.
        group_column: name of a column whose equal values keep rows together in folds (one animal, one photographer, one
            scene).
        values: the labels that are known, by label number (of a trained run); by default those of the file, in order.
        encoding: of the CSV; by default UTF-8, UTF-16 with its mark, or GBK where that reads as Chinese.

    Raises:
        DataError: a file that is missing, in no known encoding, without the columns, without a labelled row, or with a
            picture that carries two different labels.
    """
    csv = Path(csv)
    columns = [image_column, label_column] + ([group_column] if group_column else [])
    rows, notes = read_rows(csv, columns, encoding)
    labelled = type_labels(csv, rows.lines, rows.columns[label_column], values)
    names = rows.columns[image_column]
    paths, path_notes = find_images(csv, names, Path(images) if images is not None else csv.parent)
    kept, row_notes = _distinct(csv, paths, rows.lines, labelled.texts, labelled.numbers)
    chosen = kept.tolist()
    return Table(
        paths=paths.take(chosen),
        labels=labelled.numbers[kept],
        classes=_names(labelled.values),
        values=labelled.values,
        source=csv.absolute(),
        names=taken(names, chosen),
        lines=taken(rows.lines, chosen),
        groups=np.unique(rows.columns[group_column], return_inverse=True)[1][kept] if group_column else None,
        findings=(*notes, *path_notes, *labelled.findings, *row_notes),
    )


def _names(values: Sequence[Value]) -> tuple[str, ...]:
    """Different names to show: without the spaces around, unless two would then be one."""
    names = tuple(str(value).strip() for value in values)
    return names if len(set(names)) == len(names) else tuple(map(str, values))


def read_cifar(folder: str | os.PathLike[str], part: str = "train") -> Table:
    """The table of the unpacked CIFAR-10 or CIFAR-100 files; labels are ints, classes the names in the files.

    The pictures are written once, as PNG, to a folder `png` beside the files. A folder of PNGs per class is read by
    `read_folder`.

    Raises:
        DataError: the files are damaged, hold anything but arrays, or the PNGs cannot be written.
    """
    folder = Path(folder).absolute()
    if not is_cifar(folder):
        return read_folder(folder / part if (folder / part).is_dir() else folder)
    files = read_cifar_files(folder, part)
    return Table(
        paths=tuple(files.paths),
        labels=files.labels,
        classes=files.classes,
        values=tuple(range(len(files.classes))),
        source=folder,
        names=tuple(path.relative_to(folder).as_posix() for path in files.paths),
        lines=(0,) * len(files.paths),
    )


def _distinct(
    csv: Path, paths: PathColumn, lines: Sequence[int], texts: Sequence[str], numbers: np.ndarray
) -> tuple[np.ndarray, list[Finding]]:
    """The labelled rows without repetitions.

    Raises:
        DataError: a picture with two different labels.
    """
    kept: dict[str, int] = {}
    findings = []
    texts_of_paths = paths.texts
    for row in np.flatnonzero(numbers >= 0).tolist():
        first = kept.setdefault(texts_of_paths[row], row)
        if first == row:
            continue
        if numbers[first] != numbers[row]:
            raise DataError(
                tr(
                    "{csv}, lines {first} and {second}: the picture {name} is labelled {first_label!r} and "
                    "{second_label!r}. Keep the right one.",
                    csv=csv,
                    first=lines[first],
                    second=lines[row],
                    name=paths[row].name,
                    first_label=texts[first],
                    second_label=texts[row],
                )
            )
        what = tr("the same picture and label as in line {lines}; counted once", lines=lines[first])
        findings.append(Finding(csv, lines[row], "duplicate-row", what, tr("remove the line"), drops=True))
    if not kept:
        raise DataError(
            tr("{csv} holds no labelled row. Each line after the header names a picture and its label.", csv=csv)
        )
    return np.array(list(kept.values()), np.int64), findings


def read_labelled(
    csv: Path,
    values: tuple[Any, ...],
    image_column: str = IMAGE,
    label_column: str = LABEL,
    images: Path | None = None,
    encoding: str = "",
) -> tuple[Table, np.ndarray]:
    """The table, and its labels (N,) int64 as the run numbers them.

    Args:
        csv: a CSV, or a folder with one folder per class, which is matched by how the classes are written.
        values: the run's labels by class number.
        images: the folder that the CSV's paths are relative to; its own by default.
        encoding: of the CSV, as for `read_csv`.

    Raises:
        DataError: the table cannot be read, or has a class that the run does not know.
    """
    table = read(csv, image_column, label_column, images, values=values, encoding=encoding)
    number = {str(value): place for place, value in enumerate(values)}
    unknown = [name for name in map(str, table.values) if name not in number]
    if unknown:
        raise DataError(
            tr(
                "{source} has the class {unknown!r}, which the run does not know; it knows {number}.",
                source=table.source,
                unknown=unknown[0],
                number=", ".join(list(number)[:10]),
            )
        )
    return table, np.array([number[str(value)] for value in table.values], np.int64)[table.labels]
