"""The board's metric: the competition's own, of labels alone, the same as training's, and what needs probabilities is
refused.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyai_local.__main__ import main
from flyai_local.board import records
from flyai_local.board.board import ranking
from flyai_local.board.schema import VERSION
from flyai_local.contest.competitions import competition as card_of
from flyai_local.contest.metrics import METRICS
from flyai_local.contest.register import add
from flyai_local.home import records_file
from flyai_local.run.answers import Answer, Other
from flyai_local.run.score import final_line, score
from flyai_local.states import State
from recipe.components.metrics import METRICS as TRAINING

ROOT = Path(__file__).resolve().parents[3]
PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


def answers(values) -> list[Answer]:
    return [Answer("label", type(value).__name__, value) for value in values]


def scored(labels, values, metric, classes=range(5)) -> float:
    keys = [f"{at}.png" for at in range(len(labels))]
    return score("T", keys, labels, answers(values), metric, list(classes)).total


def test_training_and_board_have_one_list():
    assert set(METRICS) < set(TRAINING)
    for name, metric in METRICS.items():
        assert metric.bounds == TRAINING[name].bounds and TRAINING[name].higher_is_better
        assert TRAINING[name].__doc__ == metric.of.__doc__


def test_a_metric_of_labels_is_added_in_one_place(tmp_path):
    added = """
import protocol.metrics as shared

@shared.metric("hits")
def hits(labels, answers, classes):
    \"\"\"The number of hits.\"\"\"
    return float(sum(labels == answers))

import numpy as np
from flyai_local.contest.metrics import find
from recipe.components.metrics import METRICS
print(METRICS["hits"](np.array([0, 1]), np.eye(2)), find("hits").of(np.array([0, 1]), np.array([0, 0]), 2))
"""
    done = subprocess.run([sys.executable, "-c", added], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2.0", "1.0"]


@pytest.mark.parametrize("name", METRICS)
@given(pairs=PAIRS)
def test_it_is_training_s_metric_in_percent(name, pairs):
    labels, given = (list(column) for column in zip(*pairs, strict=True))
    expected = TRAINING[name](np.array(labels), np.eye(5)[given])
    assert scored(labels, given, name) == pytest.approx(round(100 * expected, 2), abs=0.011)


@pytest.mark.parametrize("name", METRICS)
def test_answers_that_are_no_class_are_wrong_and_break_nothing(name):
    labels, right = [0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 4, 0]
    nothing = ["0", None, 17, 2.5, Other("an array", 3), float("nan")]
    assert scored(labels, right, name) == 100
    assert scored(labels, nothing, name) <= 0
    assert scored(labels, [*right[:-1], nothing[0]], name) < 100


def test_equal_by_the_platform_s_own_comparison():
    assert scored([0, 1, 2], [0.0, True, 2], "macro_f1") == 100


def test_order_counts_for_the_quadratic_kappa_also_of_classes_that_are_not_hidden():
    near, far = ([0, 4, 0, 4], [1, 4, 0, 4]), ([0, 4, 0, 4], [3, 4, 0, 4])
    assert scored(*near, "quadratic_kappa") > scored(*far, "quadratic_kappa")
    assert scored(*far, "quadratic_kappa") < scored(
        *far, "quadratic_kappa", classes=(0, 3, 4)
    )  # 0 to 3 is then one step, not three
    assert scored(*near, "accuracy") == scored(*far, "accuracy") == 75


def test_wrong_types_are_named_with_the_score_of_the_metric():
    found = score("T", list("abcd"), [0, 0, 0, 1], answers(["0", "0", "0", "0"]), "balanced_accuracy")
    assert found.total == 0 and "would be 50.0 instead of 0.0" in found.detail


def test_the_last_line_names_the_metric():
    assert '"The Score is Total macro F1"' in final_line(12.5, "macro_f1")


@pytest.mark.parametrize("name", sorted(set(TRAINING) - set(METRICS)))
def test_what_needs_probabilities_is_refused_in_a_sentence(competition, name, capsys):
    words = [
        "add",
        "Tiny",
        "--csv",
        str(competition / "train.csv"),
        "--images",
        str(competition),
        "--hidden",
        "0.3",
        "--metric",
        name,
    ]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert f"by the metric {name!r}" in error and "no metric of probabilities" in error
    assert "accepted: accuracy, balanced_accuracy, macro_f1" in error


def test_the_card_keeps_the_metric(competition):
    add("Tiny", competition / "train.csv", competition, hidden=0.3, metric="quadratic_kappa")
    assert card_of("Tiny").metric == "quadratic_kappa"


def finished(book, name: str, points: float, metric: str) -> int:
    run = book.start_run(name, "Digits", "train", name, 2**20)
    book.finish(run, State.SCORED, None, points, points, points, {}, 1.0, 1.0, metric=metric)
    return run


def test_runs_scored_by_another_metric_are_not_ranked_against_each_other(capsys):
    book = records.open()
    finished(book, "before", 99.0, "accuracy")
    finished(book, "worse than chance", -20.0, "kappa")
    finished(book, "better", 40.0, "kappa")
    assert [entry.run.name for entry in ranking(book.runs())] == ["better", "worse than chance"]
    assert main(["board", "--competition", "Digits"]) == 0
    printed = capsys.readouterr().out
    assert "2 ranked by the public score (kappa)" in printed
    assert "before" in printed.split("not ranked")[1] and "by accuracy" in printed.split("not ranked")[1]


def test_records_of_the_first_version_are_taken_over():
    book = records.open()
    finished(book, "old", 75.0, "accuracy")
    connection = sqlite3.connect(records_file())
    connection.execute("ALTER TABLE scores DROP COLUMN metric")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    (run,) = records.open().runs()
    assert (run.score, run.metric) == (75.0, "accuracy")
    connection = sqlite3.connect(records_file())
    assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    connection.close()
