"""Paths as a column, and what a large table costs."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from data_files import write
from hypothesis import given
from hypothesis import strategies as st

from protocol.picture_paths import _absolute
from recipe.data.reading import read_csv
from recipe.pictures.paths import PathColumn, taken


@given(st.lists(st.text("ab/.", min_size=1), max_size=6), st.data())
def test_a_column_is_the_sequence_of_its_paths(texts, data):
    column, paths = PathColumn(texts), tuple(map(Path, texts))
    assert (len(column), tuple(column), column, list(reversed(column))) == (
        len(paths),
        paths,
        paths,
        list(reversed(paths)),
    )
    assert column[1:] == paths[1:]
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=5)) if texts else []
    assert column.take(rows) == [paths[row] for row in rows]
    assert taken(texts, rows) == tuple(texts[row] for row in rows)
    assert column != (*paths, Path("more"))
    with pytest.raises(IndexError):
        column[len(texts)]


@given(st.text("ab./ \\é", max_size=12))
def test_two_spellings_of_one_place_are_one_path(name):
    path = os.path.join("/pictures", name)  # noqa: PTH118  (a Path would tidy it up)
    assert _absolute(path) == os.path.abspath(path)  # noqa: PTH100  (likewise)


def test_a_row_costs_a_few_hundred_bytes(tmp_path):
    """Of 20,000 rows: names, paths, line numbers and labels, without the file's text. A Path for each would double
    it.
    """
    rows = 20_000
    csv = write(
        tmp_path,
        "image_path,label\n"
        + "".join(f"image/class{row % 100:03d}/{row:07d}.jpg,class{row % 100:03d}\n" for row in range(rows)),
    )
    tracemalloc.start()
    table = read_csv(csv)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(table) == rows
    assert held / rows < 400
    assert peak / rows < 1000
