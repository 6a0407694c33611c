"""Folds by their properties: a partition, stratified, groups whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_files import picture, write
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.components.metrics import MetricError, refuse_unscorable
from recipe.data.findings import DataError
from recipe.data.folds import make_folds
from recipe.data.own_folds import own_folds
from recipe.data.reading import read_csv
from recipe.data.table import Table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures image/0.png ... image/7.png."""
    for number in range(8):
        picture(tmp_path / "image" / f"{number}.png", number)
    return tmp_path


def table_of(labels, groups=None) -> Table:
    labels = np.asarray(labels, np.int64)
    names = tuple(f"{row}.png" for row in range(len(labels)))
    classes = tuple(f"class {number}" for number in range(labels.max() + 1))
    return Table(tuple(map(Path, names)), labels, classes, classes, Path("t.csv"), names, (0,) * len(labels), groups)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=6, max_size=60), st.integers(2, 6), st.integers(0, 99))
def test_folds_are_a_stratified_partition(labels, folds, seed):
    table = table_of([*labels, *[2] * 6, *[3] * 6])  # two classes that every fold can train on
    made = make_folds(table, folds, seed)
    assert sorted(np.concatenate([fold.valid_rows for fold in made])) == list(range(len(table)))
    for index, fold in enumerate(made):
        assert fold.index == index
        assert sorted([*fold.train_rows, *fold.valid_rows]) == list(range(len(table)))
        share = np.bincount(table.labels[fold.valid_rows], minlength=4)
        assert (np.abs(share - table.counts / folds) < 1).all()
    again = make_folds(table, folds, seed)
    assert all((one.valid_rows == other.valid_rows).all() for one, other in zip(made, again, strict=True))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=30, max_size=80),
    st.integers(2, 4),
    st.integers(0, 99),
)
def test_groups_are_never_divided(pairs, folds, seed):
    labels, groups = np.array(pairs).T
    try:
        made = make_folds(table_of(labels), folds, seed, groups)
    except DataError as error:
        assert "group" in str(error)
        return
    assert sorted(np.concatenate([fold.valid_rows for fold in made])) == list(range(len(labels)))
    for fold in made:
        assert not set(groups[fold.train_rows]) & set(groups[fold.valid_rows])


def test_the_group_column_reaches_the_folds(folder):
    text = "image_path,label,animal\n" + "".join(f"image/{n}.png,{'ab'[n % 2]},cat{n // 2}\n" for n in range(8))
    table = read_csv(write(folder, text), group_column="animal")
    assert table.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    for fold in make_folds(table, 2, 0):
        assert not set(table.groups[fold.train_rows]) & set(table.groups[fold.valid_rows])
    assert table.take([6, 7]).groups.tolist() == [3, 3]


def test_one_fold_holds_out_a_fifth():
    (fold,) = make_folds(table_of([0] * 50 + [1] * 30), folds=1, seed=4)
    assert (len(fold.valid_rows), len(fold.train_rows)) == (16, 64)
    (tiny,) = make_folds(table_of([0, 0, 1, 1]), folds=1, seed=0)
    assert len(tiny.valid_rows) == 2


def test_seeds_differ():
    table = table_of([0, 1] * 50)
    assert set(make_folds(table, 5, 0)[0].valid_rows) != set(make_folds(table, 5, 1)[0].valid_rows)


@pytest.mark.parametrize(("folds", "groups"), [(0, None), (-1, None), (5, None), (3, np.array([0, 0, 0, 1, 1, 1]))])
def test_impossible_folds_are_refused(folds, groups):
    with pytest.raises(DataError, match="folds"):
        make_folds(table_of([0, 0, 0, 1, 1, 1]), folds, 0, groups)


WHOLE = np.array(list("aaabbb"))  # a group is a class


@pytest.mark.parametrize(
    ("labels", "folds", "groups", "why"),
    [
        ([0, 0, 0, 1, 1, 1], 2, WHOLE, "on the class 'class [01]' alone: the groups hold whole classes"),
        ([0, 0, 1, 1, 2, 2], 3, np.array([0, 0, 1, 1, 2, 2]), "more folds|more than|whole classes"),
        ([0, 1], 1, None, "more than the data allow"),
        ([0, 0, 1], 2, None, "on the class 'class 0' alone: the other classes have too few pictures"),
    ],
    ids=["group equals class", "as many groups as folds", "a row each", "one row of a class"],
)
def test_folds_that_could_learn_nothing_are_refused(labels, folds, groups, why):
    table = table_of(labels, None if groups is None else np.unique(groups, return_inverse=True)[1])
    with pytest.raises(DataError, match=why):
        make_folds(table, folds, 0)


@pytest.mark.parametrize(("cut", "refused"), [("000111", True), ("-00---", False), ("-00111", True), ("012012", False)])
def test_folds_of_ones_own_train_on_two_classes(tmp_path, cut, refused):
    """Labels a, a, a, b, b, b; a dash is a picture that is never validated."""
    table = table_of([0, 0, 0, 1, 1, 1])
    rows = "".join(f"{name},{'-1' if fold == '-' else fold}\n" for name, fold in zip(table.names, cut, strict=True))
    (tmp_path / "folds.csv").write_text("image_path,fold\n" + rows, encoding="utf-8")
    if not refused:
        assert own_folds(table, tmp_path / "folds.csv", "image_path", "fold")
        return
    with pytest.raises(DataError, match=r"would train on the class 'class [01]' alone; cut the folds"):
        own_folds(table, tmp_path / "folds.csv", "image_path", "fold")


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_an_area_under_a_curve_is_refused_before_a_fold_of_one_class_is_trained(metric):
    with pytest.raises(MetricError, match=f"{metric} has no value on fold 3: .*another metric"):
        refuse_unscorable(metric, np.array([1, 1]), 2, 3)
    refuse_unscorable(metric, np.array([0, 1]), 2, 3)
    refuse_unscorable("accuracy", np.array([1, 1]), 2, 3)
