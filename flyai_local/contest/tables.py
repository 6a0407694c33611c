"""Tables of pictures as people really write them: CSV with a BOM, GBK, CRLF, backslashes, ``./image/`` prefixes."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flyai_local.errors import UserError

ENCODINGS = ("utf-8-sig", "gb18030")  # gb18030 holds GBK and GB2312
Label = int | float | str
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Row:
    """One labelled picture: its path as the table writes it (forward slashes, no ``./``), label text, line number."""

    picture: str
    label: str
    line: int


def read_table(path: Path, image_column: str, label_column: str) -> list[Row]:
    """Rows of a CSV file, in its order.

    Accepts UTF-8 with or without BOM, UTF-16 with BOM and GBK, any line end, and backslashes in the paths; empty
    lines are passed over.

    Raises:
        UserError: the file or a column is missing, a cell is empty, or no row is left; names the file and line.
    """
    if not path.is_file():
        raise UserError(f"there is no file {str(path)!r}: give the path of a CSV file")
    reader = csv.reader(io.StringIO(_decoded(path), newline=""))
    header = [cell.strip() for cell in next(reader, [])]
    image_at, label_at = _position(path, header, image_column), _position(path, header, label_column)
    rows = []
    for cells in reader:
        if any(cell.strip() for cell in cells):
            rows.append(_row(path, cells, len(header), image_at, label_at, reader.line_num))
    if not rows:
        raise UserError(f"{path} has a header but no rows: a table needs at least one labelled picture")
    return rows


def write_table(path: Path, header: tuple[str, str], rows: Iterable[tuple[str, str]]) -> None:
    """Write picture paths and labels as the platform does: UTF-8, no index, newline ends, quotes only where needed."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def label_values(texts: list[str]) -> list[int] | list[float] | list[str]:
    """The labels with the type that pandas would give the column: all int, else all float, else text."""
    if all(WHOLE_NUMBER.fullmatch(text) for text in texts):
        return [int(text) for text in texts]
    if all(NUMBER.fullmatch(text) for text in texts):
        return [float(text) for text in texts]
    return texts


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    encodings = ("utf-16",) if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ENCODINGS
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UserError(f"{path} is neither UTF-8 nor GBK text: save it as a CSV file in UTF-8")


def _position(path: Path, header: list[str], column: str) -> int:
    if column in header:
        return header.index(column)
    if not header:
        raise UserError(f"{path} is empty: the first line must name the columns, for instance image_path,label")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise UserError(f"{path} separates its columns by semicolons or tabs: save it with commas")
    close = difflib.get_close_matches(column.lower(), [name.lower() for name in header], n=1, cutoff=0.4)
    nearest = next((name for name in header if close and name.lower() == close[0]), None)
    hint = f"; the nearest is {nearest!r}" if nearest else ""
    raise UserError(
        f"{path} has no column {column!r}, its first line names {', '.join(map(repr, header))}{hint}: "
        "name the columns by --image-column and --label-column"
    )


def _row(path: Path, cells: list[str], width: int, image_at: int, label_at: int, line: int) -> Row:
    if len(cells) != width:
        counts = f"{len(cells)} cells where the header has {width}"
        raise UserError(f"{path}, line {line}: {counts}; put quotes around a cell that holds a comma")
    picture, label = cells[image_at].strip().replace("\\", "/"), cells[label_at].strip()
    if not picture or not label:
        raise UserError(f"{path}, line {line}: the {'picture' if not picture else 'label'} is empty")
    return Row(picture if picture.startswith("/") else str(PurePosixPath(picture)), label, line)
