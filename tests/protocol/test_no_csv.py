"""What people have under the name of a CSV: said for what it is, or read where nothing is in doubt."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from flyai_local.contest.tables import read_table
from flyai_local.errors import UserError
from protocol.csv_file import read_rows
from protocol.findings import DataError

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
