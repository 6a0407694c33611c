"""CSV files of every accepted kind, and the messages for the others."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pandas
import pytest
from data_files import kinds, picture, rows, write
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.data.findings import DataError
from recipe.data.labels import type_labels
from recipe.data.reading import read, read_csv

NAMES = st.text(st.characters(exclude_categories=["C"], exclude_characters="/\\."), min_size=1, max_size=8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures image/0.png ... image/7.png."""
    for number in range(8):
        picture(tmp_path / "image" / f"{number}.png", number)
    return tmp_path


def test_a_plain_csv(folder):
    table = read_csv(write(folder, rows(["b", "a"] * 4)))
    assert table.classes == table.values == ("a", "b")
    assert table.labels.tolist() == [1, 0] * 4
    assert table.labels.dtype == np.int64
    assert table.paths[3] == folder / "image" / "3.png"
    assert table.names[3] == "image/3.png"
    assert table.lines == tuple(range(2, 10))
    assert table.counts.tolist() == [4, 4]
    assert table.findings == ()
    assert read(folder).fingerprint == table.fingerprint


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["0", "2", "10"], (0, 2, 10)),
        (["00", "02", "10"], (0, 2, 10)),
        (["1.0", "2.0", "3"], (1, 2, 3)),
        (["0.5", "2", "1e1"], (0.5, 2, 10)),
        (["-1", "+1", " 3"], (-1, 1, 3)),
        (["True", "False", "True"], (False, True)),
        (["0", "2", "x"], ("0", "2", "x")),
        (["a", "B", "c d"], ("B", "a", "c d")),
        (["None", "b", "NA"], ("NA", "None", "b")),
        (["1_000", "2", "3"], ("1_000", "2", "3")),
        (["１", "2", "3"], ("2", "3", "１")),
    ],
)
def test_labels_equal_what_pandas_reads(texts, values):
    labelled = type_labels(Path("t.csv"), range(2, 5), texts)
    assert labelled.values == values
    assert [type(value) for value in labelled.values] == [type(value) for value in values]
    read_by_pandas = pandas.read_csv(io.StringIO("label\n" + "\n".join(texts)), keep_default_na=False)["label"]
    assert all(labelled.values[number] == there for number, there in zip(labelled.numbers, read_by_pandas, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.integers(-99, 99).map(str) | st.floats(-9, 9).map(repr) | st.sampled_from(["007", "a", "é", "1 2", "x,y"]),
        min_size=1,
    )
)
def test_any_label_column_equals_what_pandas_reads(texts):
    labelled = type_labels(Path("t.csv"), range(len(texts)), texts)
    stream = io.StringIO("label\n" + "".join(f'"{text}"\n' for text in texts))
    read_by_pandas = pandas.read_csv(stream, keep_default_na=False)["label"]
    assert all(labelled.values[number] == there for number, there in zip(labelled.numbers, read_by_pandas, strict=True))


def test_encodings_and_line_endings_are_read_and_noted(folder):
    text = rows(["牛肝菌", "鹅膏菌"] * 4)
    plain = read_csv(write(folder, text))
    for data, kind in (
        (b"\xef\xbb\xbf" + text.encode(), {"encoding": 1}),
        (text.encode("gbk"), {"encoding": 1}),
        (text.encode("utf-16"), {"encoding": 1}),
        (text.replace("\n", "\r\n").encode(), {"line-endings": 1}),
        (text.replace("\n", "\r").encode(), {"line-endings": 1}),
        (text.replace(",", ";").encode(), {}),
        (text.replace(",", "\t").encode(), {}),
        (text.rstrip("\n").encode(), {}),
        ((text + "\n\n,\n").encode(), {}),
    ):
        table = read_csv(write(folder, data))
        assert (table.classes, table.names) == (plain.classes, plain.names)
        assert table.lines == plain.lines
        assert kinds(table.findings) == kind, data[:40]
    assert "GBK" in str(read_csv(write(folder, text.encode("gbk"))).findings[0])


def test_quoted_fields_may_hold_the_delimiter_and_line_numbers_stay_right(folder):
    text = 'image_path,label,remark\nimage/0.png,"cap, red","two\nlines"\n\nimage/1.png,"a ""b""",\nimage/2.png,,x\n'
    table = read_csv(write(folder, text))
    assert table.classes == ('a "b"', "cap, red")
    assert table.lines == (2, 5)
    assert [(finding.kind, finding.line) for finding in table.findings] == [("empty-label", 6)]


def test_columns_may_have_any_name_and_spaces(folder):
    text = rows(["a", "b"]).replace("image_path,label", "id, species ")
    assert read_csv(write(folder, text), "id", "species").classes == ("a", "b")


@pytest.mark.parametrize(
    "form",
    ["./image/{}.png", "image\\{}.png", ".\\image\\{}.png", "image//{}.png", "x/../image/{}.png", " image/{}.png"],
)
def test_spellings_of_a_path(folder, form):
    table = read_csv(write(folder, rows(["a", "b"], form)))
    assert table.paths == (folder / "image" / "0.png", folder / "image" / "1.png")
    assert kinds(table.findings) == ({"backslashes": 1} if "\\" in form else {})


@pytest.mark.skipif(os.sep != "/", reason="a backslash cannot be part of a name on Windows")
def test_a_backslash_that_belongs_to_the_name_is_kept(tmp_path):
    picture(tmp_path / "a\\0.png")
    picture(tmp_path / "b" / "1.png")
    table = read_csv(write(tmp_path, "image_path,label\na\\0.png,0\nb\\1.png,1\n"))
    assert all(path.is_file() for path in table.paths)


@pytest.mark.parametrize("form", ["{}.png", "image/{}.png", "{}", "image/{}", "elsewhere/{}.png"])
def test_pictures_are_found_below_the_given_folder(folder, form):
    csv = write(folder, rows(["a", "b"], form), "labels.csv")
    table = read_csv(csv, images=folder / "image")
    assert table.paths == (folder / "image" / "0.png", folder / "image" / "1.png")
    assert kinds(table.findings) == ({} if form == "{}.png" else {"image-folder": 1})


def test_absolute_paths_and_a_relative_csv(folder, monkeypatch):
    monkeypatch.chdir(folder)
    write(folder, rows(["a", "b"], str(folder / "image" / "{}.png")))
    assert read_csv("train.csv").paths == (folder / "image" / "0.png", folder / "image" / "1.png")
    write(folder, rows(["a", "b"]))
    assert all(path.is_absolute() for path in read_csv("train.csv", images=".").paths)


def test_the_same_row_twice_counts_once(folder):
    text = rows(["a", "b"]) + "./image/0.png,a\nimage//1.png,b\n"
    table = read_csv(write(folder, text))
    assert len(table) == 2
    assert [(finding.kind, finding.line) for finding in table.findings] == [("duplicate-row", 4), ("duplicate-row", 5)]
    assert all(finding.drops for finding in table.findings)
    assert "line 2" in table.findings[0].what


def test_one_picture_with_two_labels_is_refused_with_both_lines(folder):
    with pytest.raises(DataError, match=r"lines 3 and 5: the picture 1.png is labelled 'b' and 'a'"):
        read_csv(write(folder, rows(["a", "b"]) + "image/2.png,a\nimage/1.png,a\n"))


def test_empty_and_unknown_labels_are_left_out(folder):
    csv = write(folder, rows(["0", "1", "", " ", "nan", "2"]))
    assert kinds(read_csv(csv).findings) == {"empty-label": 3}
    assert read_csv(csv).values == (0, 1, 2)
    known = read_csv(csv, values=(0, 1))
    assert known.labels.tolist() == [0, 1]
    assert kinds(known.findings) == {"empty-label": 3, "unknown-label": 1}
    assert "line 7" in str(known.findings[-1])


def test_known_values_keep_their_numbers_and_meet_other_types(folder):
    assert read_csv(write(folder, rows(["b", "b"])), values=("a", "b", "c")).labels.tolist() == [1, 1]
    assert read_csv(write(folder, rows(["0", "1"])), values=("0", "1")).labels.tolist() == [0, 1]
    table = read_csv(write(folder, rows(["amanita", "bolete", "bolet"])), values=("amanita", "bolete"))
    assert "Did you mean 'bolete'?" in str(table.findings[0])


def test_lookalike_labels_are_named(folder):
    table = read_csv(write(folder, rows(["cat", "Cat", "dog"])))
    assert kinds(table.findings) == {"similar-labels": 1}
    assert len(table.classes) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        (
            "image_path,lable\nimage/0.png,a\n",
            r"no column 'label'; the columns are 'image_path', 'lable'. Did you mean 'lable'",
        ),
        ("image/0.png,a\nimage/1.png,b\n", "the header is missing"),
        ("image_path,label\n", "holds no labelled row"),
        ("image_path,label\nimage/0.png,\n", "holds no labelled row"),
        ("image_path,label,label\nimage/0.png,a,b\n", "'label' stands there twice"),
        ("image_path,label\nimage/0.png,a\nimage/1.png,red, big\n", "line 3: 3 fields where the header has 2"),
        ("image_path,label\nimage/0.png\n", "line 2: 1 fields where the header has 2"),
        ('image_path,label\nimage/0.png,"a\n', "line 2: unexpected end of data"),
        (b"image_path,label\n\x00\x01\xff\xfe", r"holds zero bytes \(line 2\)"),
        (b"\xff\xfe\x00", "no text in UTF-8, UTF-16 or GBK"),
    ],
)
def test_a_csv_that_cannot_be_used_says_why(folder, text, message):
    csv = write(folder, text)
    with pytest.raises(DataError, match=message) as caught:
        read_csv(csv)
    assert str(csv) in str(caught.value)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="There is no CSV file"):
        read_csv(tmp_path / "train.csv")
    with pytest.raises(DataError, match="There is no file or folder"):
        read(tmp_path / "none")
    with pytest.raises(DataError, match="holds no pictures to learn from"):
        read(tmp_path)


def test_the_fingerprint_depends_on_names_and_labels_alone(folder, tmp_path_factory):
    table = read_csv(write(folder, rows(["a", "b"] * 4)))
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for number in range(8):
        picture(elsewhere / "image" / f"{number}.png")
    assert read_csv(write(elsewhere, rows(["a", "b"] * 4))).fingerprint == table.fingerprint
    assert read_csv(write(folder, rows(["a", "a"] * 4))).fingerprint != table.fingerprint
    assert table.take(range(7)).fingerprint != table.fingerprint
    assert len(table.fingerprint) == 12


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(0, 3)), min_size=1))
def test_a_written_table_is_read_back(tmp_path_factory, entries):
    entries = list({name.strip(): label for name, label in entries if name.strip()}.items())
    if not entries:
        return
    folder = tmp_path_factory.mktemp("written")
    columns = pandas.DataFrame(
        {"image_path": [name + ".png" for name, _ in entries], "label": [f"class {label}" for _, label in entries]}
    )
    columns.to_csv(folder / "train.csv", index=False)
    table = read_csv(folder / "train.csv")
    assert list(table.names) == columns["image_path"].tolist()
    assert [table.values[label] for label in table.labels] == columns["label"].tolist()
