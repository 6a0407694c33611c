"""One's own data: the card beside the pictures, and folds that one has cut oneself."""

from __future__ import annotations

import numpy as np
import pytest

from flyai_local.contest.metrics import METRICS as OF_THE_BOARD
from protocol.card import FILE, Card, read, write
from recipe.app import Competition
from recipe.components.metrics import METRICS
from recipe.data.findings import DataError
from recipe.data.own_folds import own_folds
from recipe.data.reading import read as read_table
from recipe.prepare import completed


def test_a_card_comes_back_and_a_damaged_one_is_named(tmp_path):
    assert read(tmp_path) is None
    write(tmp_path, ("图片路径", "类别"), "macro_f1")
    assert read(tmp_path) == read(tmp_path / "train.csv") == Card("图片路径", "类别", "macro_f1")
    for text in ("{", "[]", '{"columns": 3}', '{"columns": {"image": 1, "label": "x"}, "metric": "m"}', "[" * 10**5):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(ValueError, match="remove it, or download anew"):
            read(tmp_path)
        with pytest.raises(DataError):
            completed(Competition(id="x"), tmp_path)


def test_training_takes_the_cards_columns_and_metric_and_app_yaml_wins(tmp_path):
    write(tmp_path, ("图片路径", "类别"), "macro_f1")
    bare = completed(Competition(id="x"), tmp_path)
    assert (bare.columns.image, bare.columns.label, bare.metric) == ("图片路径", "类别", "macro_f1")
    said = Competition.model_validate({"id": "x", "columns": {"label": "name"}, "metric": "accuracy"})
    found = completed(said, tmp_path)
    assert (found.columns.image, found.columns.label, found.metric) == ("图片路径", "name", "accuracy")


def test_every_metric_of_the_board_is_one_of_training():
    assert not [name for name in OF_THE_BOARD if name not in METRICS]


def test_own_folds_are_those_of_the_file(competition, tmp_path):
    """Numbers in their order, -1 in no validation; paths written another way, more rows than the run has."""
    table = read_table(competition)
    values = ["10", "2", "-1"] * 12
    lines = [f"{name.removeprefix('./')},{value}" for name, value in zip(table.names, values, strict=True)]
    file = tmp_path / "folds.csv"
    file.write_text("\n".join(["image_path,fold", *lines, "image/gone.png,7"]), encoding="utf-8")
    first, second = own_folds(table, file, "image_path", "fold")
    assert first.valid_rows.tolist() == list(range(1, 36, 3)) and second.valid_rows.tolist() == list(range(0, 36, 3))
    for fold in (first, second):
        assert sorted([*fold.train_rows, *fold.valid_rows]) == list(range(36))
    assert not np.isin(np.arange(2, 36, 3), np.concatenate([first.valid_rows, second.valid_rows])).any()


@pytest.mark.parametrize(
    ("values", "said"),
    [(["0"] * 36, "holds 1 folds"), (["-1"] * 36, "holds 0 folds"), (["0", "1"] * 17, "says nothing of 2 of the 36")],
    ids=["one value", "none", "rows missing"],
)
def test_folds_that_cannot_be_used_are_refused(competition, tmp_path, values, said):
    table = read_table(competition)
    lines = [f"{name},{value}" for name, value in zip(table.names, values, strict=False)]
    (tmp_path / "folds.csv").write_text("\n".join(["image_path,fold", *lines]), encoding="utf-8")
    with pytest.raises(DataError, match=said):
        own_folds(table, tmp_path / "folds.csv", "image_path", "fold")
