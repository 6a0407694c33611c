"""Where a run lays the training data: for 1.x in three tables, for 2.0 under the header that the project reads."""

from __future__ import annotations

import ast
import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from broken import plain_colours
from hypothesis import given
from hypothesis import strategies as st

from flyai_local.run.placing import _alternating, lay_out, take_back
from flyai_local.submission import columns
from flyai_local.submission.submission import read

CARD = '{"model": {"input": {"columns": [%s]}, "output": {"columns": [{"name": "label"}]}}}'
OLD = "model: {processor: P, input: {columns: [{name: img}]}, output: {columns: [{name: kind}]}}\n"


def project(folder: Path, main: str = "", **files: str) -> Path:
    """A 2.0 project with this main.py; `app_json` in a name is app.json."""
    folder.mkdir()
    (folder / "main.py").write_text(main, encoding="utf-8")
    (folder / "prediction.py").write_text("from flyai.framework import FlyAI\n", encoding="utf-8")
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text, encoding="utf-8")
    return folder


def old_project(folder: Path) -> Path:
    folder.mkdir()
    for name, text in {"main.py": "", "model.py": "", "processor.py": "", "app.yaml": OLD}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def table(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.reader(opened))


def test_a_sample_serves_a_1x_project_as_both_parts_with_every_class_early(tmp_path: Path) -> None:
    colours, folder = plain_colours(tmp_path / "colours"), old_project(tmp_path / "project")
    lay_out(colours, read(folder), folder, 40)
    train, test, dev = (table(folder / "data" / "input" / name) for name in ("train.csv", "test.csv", "dev.csv"))
    assert train == test == dev and len(dev) == 41 and dev[0] == ["img", "kind"]
    assert len({label for _, label in dev[1:10]}) == 9
    take_back(colours, read(folder), folder)
    assert list((folder / "data" / "input").iterdir()) == []


def test_all_rows_are_split_for_a_1x_project(tmp_path: Path) -> None:
    colours, folder = plain_colours(tmp_path / "colours"), old_project(tmp_path / "project")
    lay_out(colours, read(folder), folder, None)
    train, test = (
        {row[0] for row in table(folder / "data" / "input" / name)[1:]} for name in ("train.csv", "test.csv")
    )
    assert (len(train), len(test)) == (36, 9) and not train & test


@given(st.lists(st.sampled_from("abc")))
def test_classes_alternate_and_no_row_is_lost(labels: list[str]) -> None:
    rows = [[str(at), label] for at, label in enumerate(labels)]
    found = _alternating(rows)
    assert sorted(found) == sorted(rows)
    for length in range(len(found)):
        seen = Counter(label for _, label in found[:length])
        waiting = {label for _, label in found[length:]}
        assert all(seen[label] >= max(seen.values(), default=0) - 1 for label in waiting)


@pytest.mark.parametrize(
    ("inputs", "code", "expected"),
    [
        ('{"name": "image_path"}', "t['image_path'], t['label']", "image_path,label"),
        ('{"name": "image_path"}', "row['name'], row['labels']", "name,labels"),  # the entry of 99.78
        ('{"name": "name"}', "row['name']", "name,label"),
        ('{"name": "name"}', "line.split(',')", "name,label"),
        ('{"name": "age"}, {"name": "img_path"}', "", "img_path,label"),
        ('{"name": "image_path"}', "t['picture'], t['kind']", "picture,kind"),  # those of the competition
        ("", "t.iloc[:, 0]", "picture,kind"),
    ],
)
def test_the_header_is_the_one_that_the_code_was_written_for(
    inputs: str, code: str, expected: str, tmp_path: Path
) -> None:
    colours = plain_colours(tmp_path / "colours")
    text = colours.train.read_text(encoding="utf-8").replace("image_path,label", "picture,kind")
    colours.train.write_text(text, encoding="utf-8")
    chosen = replace(colours, image_column="picture", label_column="kind")
    for known, header in (("", expected), (f"\nD().download_from_ids('{chosen.id}')", "picture,kind")):
        folder = project(tmp_path / f"p{len(known)}", code + known, app_json=CARD % inputs)
        assert lay_out(chosen, read(folder), folder, 12) == 12
        rows = (folder / "data" / "input" / chosen.id / "train.csv").read_text(encoding="utf-8").splitlines()
        assert rows[0] == header and len(rows) == 13 and rows[1].startswith("./image/")


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({}, None),
        ({"model": []}, None),
        ({"model": {"input": {"columns": "x"}, "output": {}}}, None),
        ({"model": {"input": {"columns": [{"name": 3}, 4]}, "output": {"columns": [{"name": "y"}]}}}, ("3", "y")),
    ],
)
def test_cards_as_people_leave_them(card: dict, expected: tuple[str, str] | None) -> None:
    assert columns.asked(card) == expected


def test_what_lies_deeper_in_a_card_is_no_column_of_a_table():
    tree = ast.parse('a["name"], rows[0]["path"], card["model"]["input"][0]["img"], table[key]["photo"]')
    assert columns.keys([tree]) == {"name", "path", "model", "photo"}
