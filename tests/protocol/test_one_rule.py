"""Labels mean the same to everyone who reads them: training, registering, the evaluator, the board, submission.csv."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from data_files import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flyai_local.contest.competitions import Competition, competition, hidden_rows, place, training_classes, write_card
from flyai_local.contest.register import add
from flyai_local.evaluator import described_answer
from flyai_local.run.answers import parse
from flyai_local.run.score import score
from flyai_local.states import Code
from protocol.labels import kind_of, kind_of_values, value_of
from recipe.data.reading import read_csv

CELLS = {
    "whole numbers": (["0", "1", "2"], "int", [0, 1, 2]),
    "leading zeros and signs": (["007", "-1", "+2"], "int", [7, -1, 2]),
    "with decimals": (["0.5", "1.0", "2"], "float", [0.5, 1, 2]),
    "bools": (["True", "False"], "bool", [True, False]),
    "bools in capitals": (["TRUE", "false"], "bool", [True, False]),
    "one word among numbers": (["1", "2", "x"], "text", ["1", "2", "x"]),
    "a word among bools": (["True", "False", "maybe"], "text", ["True", "False", "maybe"]),
    "bools and numbers": (["True", "0"], "text", ["True", "0"]),
    "no answer among numbers": (["0", "1", "NA"], "int", [0, 1, None]),
    "no answer among bools": (["True", "False", "nan"], "bool", [True, False, None]),
    "no answer among words": (["cat", "NA", "None"], "text", ["cat", "NA", "None"]),
    "more than 64 bits": (["18446744073709551616", "18446744073709551617"], "text", None),
    "more digits than Python reads": (["1" * 5000, "2"], "text", None),
    "zeros before a number": (["0" * 5000 + "1", "2"], "int", [1, 2]),
    "exponents": (["1e3", "1e999"], "float", [1000, float("inf")]),
    "spaces around": ([" cat", "cat"], "text", [" cat", "cat"]),
    "Chinese": (["牛肝菌", "１"], "text", ["牛肝菌", "１"]),
    "a list in a cell": (["0,1,3", "0"], "text", ["0,1,3", "0"]),
}


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYAI_LOCAL_HOME", str(tmp_path / "home"))


def table_of(labels: list[str], first: int = 0) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("image_path", "label"), *((f"{first + at}.jpg", label) for at, label in enumerate(labels))])
    return stream.getvalue()


def registered(folder: Path, train: list[str], hidden: list[str]) -> Competition:
    """A competition with these labels, in this order; the pictures are empty files."""
    for number in range(len(train) + len(hidden)):
        (folder / f"{number}.jpg").touch()
    tables = write(folder, table_of(train)), write(folder, table_of(hidden, len(train)), "hidden.csv")
    return add("Own", tables[0], folder, hidden_csv=tables[1], replace=True)


def answered(value: Any) -> Any:
    """A label as the board holds it after the evaluator and its pipe."""
    return parse(json.loads(json.dumps(described_answer({"label": value}))))


@pytest.mark.parametrize(("cells", "kind", "values"), CELLS.values(), ids=CELLS)
def test_every_reader_has_the_same_values(
    tmp_path: Path, cells: list[str], kind: str, values: list[Any] | None
) -> None:
    values = list(cells) if values is None else values
    assert kind_of(cells) == kind
    assert [value_of(cell, kind_of(cells)) for cell in cells] == values
    labelled = [value for value in values if value is not None]
    card = registered(tmp_path, cells * 2, cells)
    assert card.labels == competition("Own").labels == kind
    place(card, tmp_path / "placed")
    trained = read_csv(tmp_path / "placed" / "train.csv")
    assert set(trained.values) == set(training_classes(card)) == set(labelled)
    hidden = [label for _, label in hidden_rows(card)]
    assert [(type(label), label) for label in hidden] == [(type(label), label) for label in labelled]
    assert [answered(value).value for value in labelled] == labelled
    stream = io.StringIO()
    csv.writer(stream).writerows([[value] for value in labelled])  # as submission.csv is written
    written = [row[0] for row in csv.reader(io.StringIO(stream.getvalue()))]
    assert [value_of(text, kind_of_values(trained.values)) for text in written] == labelled
    found = score("Own", list(map(str, hidden)), hidden, list(map(answered, labelled)), classes=training_classes(card))
    assert (found.total, found.code) == (100.0, None)


def test_an_older_card_is_typed_over_both_tables(tmp_path: Path) -> None:
    card = registered(tmp_path, ["1", "2", "x"] * 2, ["1", "2"])
    write_card(Competition(**{**vars(card), "labels": None}), card.train.parent)
    older = competition("Own")
    assert older.labels is None
    assert [label for _, label in hidden_rows(older)] == ["1", "2"]
    card.hidden.write_text("image_path,label\n6.jpg,1\n7.jpg,2\n6.jpg,x\n7.jpg,\n", encoding="utf-8")
    hidden = [label for _, label in hidden_rows(older)]
    found = score("Own", list("abcd"), hidden, list(map(answered, ["1", "2", "x", "x"])))
    assert (found.total, found.rows) == (75.0, 4)  # no answer equals a cell without a label


LABELS = st.one_of(
    st.integers(-5, 30).map(str),
    st.integers().map(str),
    st.floats(allow_nan=False).map(repr),
    st.sampled_from(["True", "FALSE", "NA", "None", "007", "7", "1.0", " a", "a", "1e3", "Ä", "é", "a,b", 'q"', "-0"]),
    st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=6),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(classes=st.lists(LABELS, min_size=1, max_size=6, unique=True), data=st.data())
def test_a_perfect_submission_scores_100(tmp_path: Path, classes: list[str], data: st.DataObject) -> None:
    """Whatever the labels are and however they are split: answers in the words of train.csv are right."""
    train = data.draw(st.permutations(classes * 2))
    hidden = data.draw(st.lists(st.sampled_from(classes), min_size=1, max_size=12))
    kind = kind_of([*train, *hidden])
    shown = [text for text in hidden if value_of(text, kind) is not None]
    if not shown:
        return
    card = registered(tmp_path, train, hidden)
    place(card, tmp_path / "placed", limit=data.draw(st.integers(2 * len(classes), 20)))
    table = read_csv(tmp_path / "placed" / "train.csv")
    text_of = dict(zip((f"{at}.jpg" for at in range(len(train))), train, strict=True))
    learned = {
        text_of[Path(name).name]: table.values[label] for name, label in zip(table.names, table.labels, strict=True)
    }
    rows = hidden_rows(card)
    answers = [answered(learned[text]) for text in shown]
    found = score(card.id, [path.name for path, _ in rows], [label for _, label in rows], answers)
    assert (found.total, found.code) == (100.0, None)


@pytest.mark.parametrize(
    ("cells", "wrong"),
    [
        (["True", "False"], ["True", "False"]),
        (["True", "False"], ["true", "0"]),
        (["True", "False", "maybe"], [True, False, "maybe"]),
        (["0", "1"], ["0", "1.0"]),
        (["1", "2", "x"], [1, 2.0, "x"]),
        (["cat", "dog"], [0, 1]),
    ],
)
def test_a_wrong_type_is_always_said(cells: list[str], wrong: list[Any]) -> None:
    labels = [value_of(cell, kind_of(cells)) for cell in cells]
    found = score("T", cells, labels, list(map(answered, wrong)), classes=labels)
    assert found.total < 100
    assert found.code is Code.LABEL_TYPE
    assert "100.0" in found.detail


def test_a_sample_of_training_rows_keeps_the_kind(tmp_path: Path) -> None:
    card = registered(tmp_path, ["1", "1", "2", "2", "x"], ["1"])
    place(card, tmp_path / "placed", limit=2)
    assert set(read_csv(tmp_path / "placed" / "train.csv").values) == {"1", "x"}
