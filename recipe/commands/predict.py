"""python -m recipe predict DIR_OR_CSV --out submission.csv: answers for a folder or for the rows of a CSV."""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from protocol.arguments import whole
from protocol.columns import add_columns
from protocol.csv_file import read_rows
from protocol.errors import UserError
from protocol.language import tr
from protocol.picture_paths import by_suffix, is_picture_name, pictures_below, readable
from recipe.data.image_paths import PICTURE_SUFFIXES, find_images
from recipe.flags import add_answering_run
from recipe.serving.backends import names
from recipe.system.atomic import atomic

OTHER_TABLES = {".xlsx", ".xls", ".ods", ".parquet", ".json", ".jsonl", ".feather", ".pkl", ".zip", ".gz"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the pictures are and where the table goes."""
    parser.add_argument(
        "pictures",
        type=Path,
        metavar="DIR_OR_CSV",
        help=tr("a folder (searched with its sub-folders) or a CSV with a column of paths"),
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help=tr("the table to write: the pictures as they were named, and the label"),
    )
    add_answering_run(parser)
    add_columns(parser, labels=tr("name of the column of answers"))
    parser.add_argument("--limit", type=whole(), metavar="N", help=tr("the first N pictures alone"))
    parser.add_argument("--probs", action="store_true", help=tr("add a column of probability per class"))
    parser.add_argument(
        "--runtime",
        default="",
        help=tr("auto, {names} or torch, and no other [as ensemble.json says]", names=", ".join(names())),
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the table, and says who answered and how many pictures could not be read."""
    from recipe.serving.incoming import must_exist
    from recipe.serving.predict import Ensemble
    from recipe.system.console import Bar

    refuse_losing(arguments)
    names, paths = (column[: arguments.limit] for column in listed(arguments))
    for path in paths:
        must_exist(path)
    ensemble = Ensemble(arguments.folder, arguments.device, arguments.runtime)
    unreadable = 0
    with atomic(arguments.out) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(
            [
                arguments.image_column,
                arguments.label_column,
                *(f"p_{value}" for value in ensemble.values if arguments.probs),
            ]
        )
        with Bar(len(paths), "picture", tr("predicting")) as bar:
            for name, answer in zip(names, ensemble.stream(paths), strict=True):
                shares = [f"{p:.6f}" for p in answer.probs if arguments.probs]
                writer.writerow([readable(str(name)), answer.label, *shares])
                unreadable += answer.status == "unreadable"
                bar.advance()
    print(
        tr(
            "{names} answers in {out}, by {how}; {unreadable} pictures could not be read and got the class prior",
            names=len(names),
            out=arguments.out,
            how=ensemble.how,
            unreadable=unreadable,
        )
    )
    return 0


def refuse_losing(arguments: argparse.Namespace) -> None:
    """Refuse a table of answers that would take the place of what is asked about, be no file, be called what it is not,
    or hold one column twice.

    Raises:
        UserError: with what to give instead.
    """
    out, source = Path(arguments.out), Path(arguments.pictures)
    if source.is_file() and out.is_file() and out.samefile(source):
        raise UserError(tr("--out {out!r} is the table of the pictures itself; give another name.", out=str(out)))
    if out.is_dir():
        said = tr("--out {out!r} is a folder; name a file in it: {file}", out=str(out), file=out / "submission.csv")
        raise UserError(said)
    if out.suffix.lower() in OTHER_TABLES:
        said = tr("--out {out!r}: the table is written as CSV; call it {name}, which Excel opens, too.",
                  out=str(out), name=out.with_suffix(".csv").name)  # fmt: skip
        raise UserError(said)
    if arguments.image_column == arguments.label_column:
        said = tr("--image-column and --label-column are both {name!r}; the answers need a column of their own.",
                  name=arguments.label_column)  # fmt: skip
        raise UserError(said)


def listed(arguments: argparse.Namespace) -> tuple[list[str], Sequence[Path]]:
    """The pictures as they are named in the table, and where they lie.

    Raises:
        UserError: nothing to predict, or a CSV without the column.
    """
    source: Path = arguments.pictures
    if source.is_dir():
        others: Counter[str] = Counter()
        paths: Sequence[Path] = pictures_below(source, others)
        say_others(others)
        names = [path.relative_to(source).as_posix() for path in paths]
    elif source.is_file() and is_picture_name(source.name):
        names, paths = [source.name], [source]
    elif source.is_file():
        rows = read_rows(source, [arguments.image_column], arguments.encoding)[0]
        names = rows.columns[arguments.image_column]
        empty = next((line for line, name in zip(rows.lines, names, strict=True) if not name.strip()), 0)
        if empty:
            raise UserError(tr("{source}, line {line}: no picture is named there.", source=source, line=empty))
        if not names:
            raise UserError(tr("{source} names no picture below its header.", source=source))
        paths = find_images(source, names, arguments.images or source.parent)[0]
    else:
        raise UserError(tr("there is no folder or CSV {source!r}; check the path.", source=str(source)))
    if not paths:
        raise UserError(
            tr(
                "{source} holds no pictures ({picture_suffixes}).",
                source=source,
                picture_suffixes=", ".join(sorted(PICTURE_SUFFIXES)),
            )
        )
    return names, paths


def say_others(others: Counter[str]) -> None:
    """Names what lies in the folder and gets no answer."""
    if others:
        print(tr("{count} files are no pictures by their names and get no answer: {kinds}",
                 count=others.total(), kinds=by_suffix(others)), file=sys.stderr)  # fmt: skip
