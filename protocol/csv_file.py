"""Rows of a CSV file with their line numbers, whatever program wrote it: encoding, delimiter, line endings."""

from __future__ import annotations

import csv as csv_module
import difflib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.encodings import MOST_BYTES, decoded
from protocol.findings import DataError, Finding
from protocol.language import later, tr
from protocol.picture_paths import PICTURE_SUFFIXES

_NAMES = {"utf-8-sig": later("UTF-8 with a byte order mark"), "utf-16": "UTF-16", "utf-32": "UTF-32", "gb18030": "GBK"}


@dataclass(frozen=True)
class Rows:
    """Chosen columns of a CSV file, field by field as text."""

    columns: dict[str, list[str]]  # each (N,)
    lines: list[int]  # (N,) the line on which each row begins, the header being line 1


def read_rows(file: Path, columns: Sequence[str], encoding: str = "") -> tuple[Rows, list[Finding]]:
    """The named columns of a CSV file, and what is unusual about the file.

    Args:
        file: fields divided by comma, semicolon or tab; any line ending; empty lines are passed over.
        columns: each must stand in the header once; the first holds the pictures' paths.
        encoding: of the file; by default UTF-8, UTF-16 with its mark, or GBK where that reads as Chinese.

    Raises:
        DataError: no such file, no known encoding, a column missing or twice, a line with more or fewer fields than
            the header, a quote that is not closed, or a field longer than the csv module takes.
    """
    text, findings = _text(file, encoding)
    delimiter, header = _header(file, text, columns)
    reader = csv_module.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = Rows({column: [] for column in columns}, [])
    places = [(values.append, header.index(column)) for column, values in rows.columns.items()]
    wanted, begins = [place for _, place in places], 1
    try:
        next(fields for fields in reader if "".join(fields).strip())
        begins = reader.line_num + 1
        for fields in reader:
            if "".join(fields).strip():
                if len(fields) != len(header):
                    raise DataError(_ragged(file, begins, len(fields), len(header)))
                if fields[wanted[0]].strip("\ufeff ") == columns[0]:
                    raise DataError(_joined(file, begins))
                if reader.line_num > begins:
                    _refuse_swallowed(file, (begins, reader.line_num), fields, wanted, delimiter, header)
                rows.lines.append(begins)
                for append, place in places:
                    append(fields[place])
            begins = reader.line_num + 1
    except csv_module.Error as error:
        raise DataError(
            tr("{file}, line {begins}: {broken}", file=file, begins=begins, broken=_broken(error))
        ) from None
    return rows, findings


def write_rows(file: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table as the platform does: UTF-8, no index, newline ends, quotes only where needed."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv_module.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _broken(error: csv_module.Error) -> str:
    if "field larger" in str(error):
        return tr(
            "a field of more than {field_size_limit:,} characters begins there. A quote that is not "
            "closed takes the rest of the file into its field; close it, or shorten the field.",
            field_size_limit=csv_module.field_size_limit(),
        )
    what = tr(", a quote is opened and not closed") if "unexpected end" in str(error) else ""
    return tr(
        "{error}{what}. A field that holds a quote or a line break stands in quotes, and a quote within it is doubled.",
        error=error,
        what=what,
    )


def _ragged(file: Path, line: int, fields: int, width: int) -> str:
    return tr(
        "{file}, line {line}: {fields} fields where the header has {width}. A field that holds "
        "the delimiter stands in quotes.",
        file=file,
        line=line,
        fields=fields,
        width=width,
    )


def _joined(file: Path, line: int) -> str:
    return tr(
        "{file}, line {line}: the header stands there once more, as where files were joined. Remove that line, "
        "and see that both parts have the same columns.",
        file=file,
        line=line,
    )


def _refuse_swallowed(
    file: Path, lines: tuple[int, int], fields: list[str], wanted: Sequence[int], delimiter: str, header: list[str]
) -> None:
    """Refuse a row over several lines that took other rows into a field: a quote stands alone in each of two lines.

    A wanted column never holds a line break; another one may, unless a line within it is a row of its own.
    """
    broken = [at for at, field in enumerate(fields) if len(field.splitlines()) > 1]
    within = [line for at in broken for line in fields[at].splitlines()[1:]]
    rows = (cells for cells in csv_module.reader(within, delimiter=delimiter) if len(cells) == len(header) > 1)
    if not broken or (not set(broken) & set(wanted) and not any(_is_picture(cells[wanted[0]]) for cells in rows)):
        return
    raise DataError(
        tr(
            "{file}, line {first}: the field {header!r} goes on over line breaks to line {last}. "
            "A quote stands alone in each of these lines, and the rows between them would be lost: "
            "remove both quotes, or double them.",
            file=file,
            first=lines[0],
            header=header[broken[0]],
            last=lines[1],
        )
    )


def _is_picture(name: str) -> bool:
    return Path(name.strip().replace("\\", "/")).suffix.lower() in PICTURE_SUFFIXES


def _text(file: Path, encoding: str) -> tuple[str, list[Finding]]:
    """The file as text, and how it was read where that is no plain UTF-8."""
    try:
        size = file.stat().st_size if file.is_file() else MOST_BYTES  # a pipe has no size
        with open(file, "rb") as stream:
            encoded = stream.read(min(size, MOST_BYTES) + 1)
    except FileNotFoundError:
        raise DataError(
            tr(
                "There is no CSV file {file!r} (working directory {cwd}). Check the path.",
                file=str(file),
                cwd=Path.cwd(),
            )
        ) from None
    except OSError as error:
        raise DataError(
            tr(
                "The CSV file {file} cannot be opened ({strerror}). Check its permissions.",
                file=file,
                strerror=error.strerror,
            )
        ) from None
    if len(encoded) > MOST_BYTES:
        raise DataError(tr("{file} is longer than {most_bytes:,} bytes. Divide it.", file=file, most_bytes=MOST_BYTES))
    if not encoded.strip():
        raise DataError(
            tr("{file} is empty. Its first line must name the columns, for example: image_path,label.", file=file)
        )
    _refuse_another_kind(file, encoded)
    try:
        text, name = decoded(encoded, encoding)
    except ValueError as error:
        raise DataError(
            tr(
                "{file} {error}. Save it as CSV in UTF-8, or name what it was saved in with --encoding, "
                "such as --encoding cp1252 (Western), cp1251 (Cyrillic), shift_jis, euc_kr, big5 or "
                "gb18030.",
                file=file,
                error=error,
            )
        ) from None
    return text, _notes(file, name, text)


_OTHER_KINDS = (
    ((b"pk\x03\x04",), later("an Excel workbook or another zip file")),
    ((b"\xd0\xcf\x11\xe0",), later("an old Excel workbook")),
    ((b"\x1f\x8b",), later("compressed by gzip")),
    ((b"par1",), later("a Parquet file")),
    ((b"<!doctype", b"<html", b"<?xml", b"<table"), later("a web page, perhaps of a download without a login")),
    ((b"version https://git-lfs",), later("a pointer of Git LFS, for which `git lfs pull` brings the file")),
)


def _refuse_another_kind(file: Path, encoded: bytes) -> None:
    """What is often found under the name of a CSV, by its first bytes."""
    begin = encoded[:64].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    for marks, what in _OTHER_KINDS:
        if begin.startswith(marks):
            said = tr("{file} is no CSV but {what}. Save the table as CSV in UTF-8.", file=file, what=tr(what))
            raise DataError(said)


def _notes(file: Path, encoding: str, text: str) -> list[Finding]:
    notes = []
    if encoding != "utf-8":
        line = next((line for line in text.splitlines() if not line.isascii()), "")
        example = tr(", for example {line!r}", line=line[:60]) if encoding == "gb18030" else ""
        what = tr("read as {names}{example}", names=tr(_NAMES.get(encoding, encoding)), example=example)
        remedy = tr("other programs may need it saved as plain UTF-8")
        notes.append(Finding(file, 0, "encoding", what, remedy))
    if "\r" in text:
        name = tr("Windows line endings (CRLF)") if "\r\n" in text else tr("old Macintosh line endings (CR)")
        remedy = tr("read all the same; programs that split lines by hand need LF")
        notes.append(Finding(file, 0, "line-endings", name, remedy))
    return notes


def _header(file: Path, text: str, columns: Sequence[str]) -> tuple[str, list[str]]:
    """The delimiter under which the first line holds every column, and that line's fields without surrounding spaces.

    Raises:
        DataError: no delimiter does.
    """
    headers = {}
    if text[:4].lower() == "sep=":
        raise DataError(tr("{file}, line 1: 'sep=' is a note for Excel. Remove that line.", file=file))
    for delimiter in (",", ";", "\t", "|"):
        reader = csv_module.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            first = next((fields for fields in reader if "".join(fields).strip()), [])
        except csv_module.Error as error:
            raise DataError(tr("{file}, line 1: {broken}", file=file, broken=_broken(error))) from None
        headers[delimiter] = [field.strip() for field in first]
        if all(headers[delimiter].count(column) == 1 for column in columns):
            return delimiter, headers[delimiter]
    header = max(headers.values(), key=len)
    wrong = next(column for column in columns if header.count(column) != 1)
    if wrong in header:
        times = tr("twice") if header.count(wrong) == 2 else tr("{count} times", count=header.count(wrong))
        raise DataError(
            tr(
                "{file}, line 1: the column {wrong!r} stands there {times}. Rename all but one.",
                file=file,
                wrong=wrong,
                times=times,
            )
        )
    if any(map(_is_picture, header)):
        raise DataError(
            tr(
                "{file}, line 1: the header is missing; the first line is already a picture. Put a line "
                "{columns} above it.",
                file=file,
                columns=",".join(columns),
            )
        )
    shown = ", ".join(map(repr, (name[:40] for name in header[:20]))) + (" ..." if len(header) > 20 else "")
    close = difflib.get_close_matches(wrong, header, n=1, cutoff=0.5)
    raise DataError(
        tr(
            "{file}, line 1: there is no column {wrong!r}; the columns are {shown}.{hint} Name the "
            "columns (app.yaml: competition, columns; a command: --image-column, --label-column) or "
            "rename them in the file.",
            file=file,
            wrong=wrong,
            shown=shown,
            hint=tr(" Did you mean {close!r}?", close=close[0]) if close else "",
        )
    )
