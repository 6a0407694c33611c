"""Tables of pictures as people really write them, read by the rules that training reads them by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flyai_local.errors import UserError
from protocol.csv_file import read_rows
from protocol.csv_file import write_rows as write_table
from protocol.findings import DataError, Finding
from protocol.labels import Value as Label
from protocol.language import tr

__all__ = ["Label", "Row", "notes_of", "read_table", "write_table"]


@dataclass(frozen=True)
class Row:
    """One labelled picture: its path as the table writes it, label text, line number."""

    picture: str
    label: str
    line: int


def read_table(path: Path, image_column: str, label_column: str, encoding: str = "") -> list[Row]:
    """Rows of a CSV file, in its order; `protocol.csv_file.read_rows` says what is accepted.

    Raises:
        UserError: the file or a column is missing, a line is not as the header says, a path is empty, or no row is
            left; names the file and line.
    """
    return notes_of(path, image_column, label_column, encoding)[0]


def notes_of(path: Path, image_column: str, label_column: str, encoding: str = "") -> tuple[list[Row], list[Finding]]:
    """As `read_table`, and what is unusual about the file."""
    try:
        columns, notes = read_rows(path, [image_column, label_column], encoding)
    except DataError as error:
        raise UserError(str(error)) from None
    pictures, labels = columns.columns[image_column], columns.columns[label_column]
    rows = [Row(*row) for row in zip(pictures, labels, columns.lines, strict=True)]
    if not rows:
        raise UserError(tr("{path} has a header but no rows: a table needs at least one labelled picture", path=path))
    for row in rows:
        if not row.picture.strip():
            raise UserError(tr("{path}, line {line}: the picture is empty", path=path, line=row.line))
    return rows, notes
