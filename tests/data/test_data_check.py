"""The check before training: what is named, what is left out, what is refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from data_files import kinds, picture, rows, write

from recipe.data.check import check
from recipe.data.findings import DataError, summary
from recipe.data.folds import make_folds
from recipe.data.reading import read_csv
from recipe.pictures.cache import Pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures image/0.png ... image/7.png."""
    for number in range(8):
        picture(tmp_path / "image" / f"{number}.png", number)
    return tmp_path


def test_the_check_names_counts_and_leaves_out(folder):
    csv = write(folder, rows(["a", "b"] * 4) + "image/8.png,a\nimage/9.png,b\n")
    (folder / "image" / "3.png").write_bytes(b"some text")
    (folder / "image" / "9.png").write_bytes((folder / "image" / "1.png").read_bytes()[:-60])
    seen = []
    table, findings = check(read_csv(csv), folds=2, progress=lambda ready, total: seen.append((ready, total)))
    assert [path.name for path in table.paths] == ["0.png", "1.png", "2.png", "4.png", "5.png", "6.png", "7.png"]
    expected = [("unreadable-picture", 5), ("missing-file", 10), ("unreadable-picture", 11)]
    assert [(finding.kind, finding.line) for finding in findings] == expected
    assert "no picture but text" in str(findings[0])
    assert seen == [(ready, 10) for ready in range(1, 11)]
    assert table.findings == tuple(findings)
    assert summary(findings, examples=1).splitlines()[0] == "unreadable-picture: 2"
    assert "... and 1 more" in summary(findings, examples=1)


def test_strict_refuses_what_is_otherwise_left_out(folder):
    csv = write(folder, rows(["a", "b"] * 4))
    table, findings = check(read_csv(csv), folds=4, strict=True)
    assert len(table) == 8
    assert findings == []
    (folder / "image" / "3.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"(?s)1 faults.*line 5.*0 bytes"):
        check(read_csv(csv), folds=3, strict=True)
    with pytest.raises(DataError, match="small-class: 1"):
        check(read_csv(csv).take([0, 1, 2, 4]), folds=2, strict=True)


def test_strict_lets_notes_pass(folder):
    csv = write(folder, b"\xef\xbb\xbf" + rows(["a", "b"] * 4, "image\\{}.png").replace("\n", "\r\n").encode())
    table, findings = check(read_csv(csv), folds=2, strict=True)
    assert kinds(findings) == {"encoding": 1, "line-endings": 1, "backslashes": 1}
    assert len(table) == 8


def test_a_small_class_is_named_with_a_remedy(folder):
    table, findings = check(read_csv(write(folder, rows(["a"] * 6 + ["b"] * 2))), folds=5)
    assert kinds(findings) == {"small-class": 1}
    assert "the class 'b' has 2 rows for 5 folds" in str(findings[0])
    assert [fold.valid_rows.size for fold in make_folds(table, 5, 0)]


def test_a_wrong_image_folder_is_one_message_and_not_a_thousand(folder, tmp_path_factory):
    csv = write(folder, rows(["a", "b"] * 4))
    with pytest.raises(DataError, match=r"line 2: 8 of 8 pictures are missing; 'image/0.png' was looked for as"):
        check(read_csv(csv, images=tmp_path_factory.mktemp("empty")), folds=2)


def test_one_class_is_not_enough(folder):
    with pytest.raises(DataError, match=r"1 class with readable pictures \(a\)"):
        check(read_csv(write(folder, rows(["a"] * 8))), folds=2)


def test_what_the_check_decoded_is_not_decoded_again(folder, monkeypatch):
    (folder / "image" / "2.png").write_bytes(b"x")
    table = read_csv(write(folder, rows(["a", "b"] * 4)))
    pictures = Pictures(table.paths, short_side=6, cache_mb=1)
    checked, _ = check(table, folds=2, pictures=pictures)
    monkeypatch.setattr("recipe.pictures.decode.read", lambda path, side: pytest.fail(f"{path} is decoded again"))
    again = pictures.of(checked.paths)
    assert (len(again), again.kept) == (7, 7)
    assert [again[row].shape for row in range(7)] == [(6, 8, 3)] * 7


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything, and Windows has no mode bits"
)
def test_an_unreadable_permission_is_a_finding(folder):
    (folder / "image" / "0.png").chmod(0)
    _, findings = check(read_csv(write(folder, rows(["a", "b"] * 4))), folds=2)
    assert "cannot be opened" in str(findings[0])
