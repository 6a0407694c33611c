"""Rows of a CSV file with their line numbers, whatever program wrote it: encoding, delimiter, line endings."""

from __future__ import annotations

import csv as csv_module
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recipe.data.findings import DataError, Finding
from recipe.registry import nearest

_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True)
class Rows:
    """Chosen columns of a CSV file, field by field as text."""

    columns: dict[str, list[str]]  # each (N,)
    lines: list[int]  # (N,) the line on which each row begins, the header being line 1


def read_rows(file: Path, columns: Sequence[str]) -> tuple[Rows, list[Finding]]:
    """The named columns of a CSV file, and what is unusual about the file.

    Raises:
        DataError: no such file, no known encoding, a column missing, or a line with fewer fields than it needs.
    """
    text, findings = _text(file)
    delimiter, header = _header(file, text, columns)
    reader = csv_module.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = Rows({column: [] for column in columns}, [])
    places = [(values.append, header.index(column)) for column, values in rows.columns.items()]
    begins = 1
    try:
        next(reader, None)
        begins = reader.line_num + 1
        for fields in reader:
            if "".join(fields).strip():
                if len(fields) != len(header):
                    raise DataError(_ragged(file, begins, len(fields), len(header)))
                rows.lines.append(begins)
                for append, place in places:
                    append(fields[place])
            begins = reader.line_num + 1
    except csv_module.Error as error:
        raise DataError(
            f"{file}, line {begins}: {error}. A field that holds a quote or a line break stands in quotes."
        ) from None
    return rows, findings


def _ragged(file: Path, line: int, fields: int, width: int) -> str:
    return (
        f"{file}, line {line}: {fields} fields where the header has {width}. A field that holds the delimiter "
        "stands in quotes."
    )


def _text(file: Path) -> tuple[str, list[Finding]]:
    """The file as text, decoded by BOM, else as UTF-8, else as GBK (by its superset GB 18030)."""
    try:
        encoded = file.read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"There is no CSV file {str(file)!r} (working directory {Path.cwd()}). Check the path."
        ) from None
    except OSError as error:
        raise DataError(f"The CSV file {file} cannot be opened ({error.strerror}). Check its permissions.") from None
    if not encoded.strip():
        raise DataError(f"{file} is empty. Its first line must name the columns, for example: image_path,label.")
    bom = next((name for mark, name in _BOMS if encoded.startswith(mark)), None)
    for encoding in (bom,) if bom else ("utf-8", "gb18030"):
        try:
            text = encoded.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, _notes(file, encoding, text)
    raise DataError(f"{file} is no text in UTF-8, UTF-16 or GBK. Save it as CSV in UTF-8.")


def _notes(file: Path, encoding: str, text: str) -> list[Finding]:
    notes = []
    if encoding != "utf-8":
        name = {"utf-8-sig": "UTF-8 with a byte order mark", "utf-16": "UTF-16", "gb18030": "GBK"}[encoding]
        notes.append(Finding(file, 0, "encoding", f"read as {name}", "other programs may need it saved as plain UTF-8"))
    if "\r" in text:
        name = "Windows line endings (CRLF)" if "\r\n" in text else "old Macintosh line endings (CR)"
        notes.append(
            Finding(file, 0, "line-endings", name, "read all the same; programs that split lines by hand need LF")
        )
    return notes


def _header(file: Path, text: str, columns: Sequence[str]) -> tuple[str, list[str]]:
    """The delimiter under which the first line holds every column, and that line's fields without surrounding spaces.

    Raises:
        DataError: no delimiter does.
    """
    headers = {}
    for delimiter in (",", ";", "\t"):
        first = next(csv_module.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        headers[delimiter] = [field.strip() for field in first]
        if all(headers[delimiter].count(column) == 1 for column in columns):
            return delimiter, headers[delimiter]
    header = max(headers.values(), key=len)
    wrong = next(column for column in columns if header.count(column) != 1)
    if wrong in header:
        raise DataError(f"{file}, line 1: the column {wrong!r} stands there twice. Rename one of them.")
    if any(Path(field.replace("\\", "/")).suffix.lower() in (".jpg", ".jpeg", ".png") for field in header):
        raise DataError(
            f"{file}, line 1: the header is missing; the first line is already a picture. Put a line "
            f"{','.join(columns)} above it."
        )
    raise DataError(
        f"{file}, line 1: there is no column {wrong!r}; the columns are "
        f"{', '.join(map(repr, header))}.{nearest(wrong, header)} "
        "Name the columns in app.yaml (image_column, label_column) or rename them in the file."
    )
