"""What people have under the name of a CSV: said for what it is, or read where nothing is in doubt."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pandas
import pytest

from flyai_local.contest.tables import read_table
from flyai_local.errors import UserError
from protocol.csv_file import read_rows
from protocol.findings import DataError
from protocol.labels import kind_of, values_of

TABLE = "image_path,label\n0.jpg,a\n1.jpg,b\n"
COLUMNS = ("image_path", "label")


def workbook() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        opened.writestr("xl/workbook.xml", "<workbook/>")
    return stream.getvalue()


KINDS = {
    "an Excel workbook or": workbook(),
    "an old Excel": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "compressed by gzip": gzip.compress(TABLE.encode()),
    "a Parquet": b"PAR1" + bytes(99),
    "a web page": b"\n <!DOCTYPE html><html><body>image_path,label</body></html>",
    "a web page, perhaps": b"\xef\xbb\xbf<?xml version='1.0'?><rows/>",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
    "note for Excel": b"sep=;\nimage_path;label\n0.jpg;a\n",
}


@pytest.mark.parametrize("what", list(KINDS))
def test_a_file_of_another_kind_is_named_by_its_kind(tmp_path: Path, what: str) -> None:
    (tmp_path / "train.csv").write_bytes(KINDS[what])
    with pytest.raises(DataError, match=what):
        read_rows(tmp_path / "train.csv", COLUMNS)
    with pytest.raises(UserError, match=what):  # `add` says the same
        read_table(tmp_path / "train.csv", *COLUMNS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_bar_divides_where_it_divides_the_header(tmp_path: Path, delimiter: str) -> None:
    (tmp_path / "train.csv").write_text(TABLE.replace(",", delimiter), encoding="utf-8")
    rows, _ = read_rows(tmp_path / "train.csv", COLUMNS)
    assert rows.columns == {"image_path": ["0.jpg", "1.jpg"], "label": ["a", "b"]}


def test_a_bar_in_labels_divides_nothing(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image_path,label\n0.jpg,a|b\n1.jpg,b\n", encoding="utf-8")
    assert read_rows(tmp_path / "train.csv", COLUMNS)[0].columns["label"] == ["a|b", "b"]


JOINED = {
    "plain": TABLE + TABLE,
    "marked": "\ufeff" + TABLE + "\ufeff" + TABLE,
    "after an empty line": TABLE + "\n" + TABLE,
    "in quotes": TABLE + '"image_path","label"\n',
}


@pytest.mark.parametrize("how", list(JOINED))
def test_the_header_of_a_second_table_is_no_picture_of_a_class_label(tmp_path: Path, how: str) -> None:
    (tmp_path / "train.csv").write_text(JOINED[how], encoding="utf-8")
    line = 5 if how == "after an empty line" else 4
    for columns in (COLUMNS, COLUMNS[:1]):
        with pytest.raises(DataError, match=f"line {line}: the header stands there once more"):
            read_rows(tmp_path / "train.csv", columns)


@pytest.mark.parametrize("before", ["", "\n\n", "  \n", "\ufeff", "\ufeff\ufeff", "\ufeff\n", ",\n"])
def test_what_is_empty_above_the_header_is_passed_over(tmp_path: Path, before: str) -> None:
    (tmp_path / "train.csv").write_text(before + TABLE, encoding="utf-8")
    rows, _ = read_rows(tmp_path / "train.csv", COLUMNS)
    begin = before.count("\n") + 2
    assert (rows.columns["label"], rows.lines) == (["a", "b"], [begin, begin + 1])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_wide_text_is_read_by_its_mark_or_by_its_name(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "train.csv").write_bytes(TABLE.encode(encoding))
    marked = encoding in ("utf-16", "utf-32")
    if not marked:
        with pytest.raises(DataError, match=r"zero bytes \(line 1\).*--encoding utf-16-le"):
            read_rows(tmp_path / "train.csv", COLUMNS)
    assert read_rows(tmp_path / "train.csv", COLUMNS, "" if marked else encoding)[0].columns["label"] == ["a", "b"]


def test_a_zero_byte_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(TABLE.encode() + b"2.jpg,\0\n")
    with pytest.raises(DataError, match=r"zero bytes \(line 4\)"):
        read_rows(tmp_path / "train.csv", COLUMNS)


@pytest.mark.parametrize("word", ["1.#IND", "-1.#QNAN", "#N/A N/A", "<NA>"])
def test_every_word_of_pandas_for_nothing_leaves_numbers_numbers(word: str) -> None:
    texts = ["1", word, "2"]
    kind = kind_of(texts)
    read = pandas.read_csv(io.StringIO("\n".join(["label", *texts])))["label"]
    assert (kind, values_of(texts, kind)) == ("int", [1, None, 2]) and read.isna().tolist() == [False, True, False]
