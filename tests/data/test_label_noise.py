"""Confident learning against a calculation by hand, against the definition, and on labels made wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.data.audit.label_noise import Suspect, likely_wrong, thresholds

LABELS = np.array([0, 0, 0, 1, 1])
PROBS = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.4, 0.6]])


def test_a_table_worked_by_hand():
    np.testing.assert_allclose(thresholds(LABELS, PROBS), [0.6, 0.7])  # (0.9 + 0.8 + 0.1) / 3 and (0.8 + 0.6) / 2
    (suspect,) = likely_wrong(LABELS, PROBS)  # row 4 is confident of nothing
    assert suspect[:3] == (2, 0, 1)
    assert suspect.margin == pytest.approx(-0.8)


def test_certain_and_right_answers_leave_no_suspect():
    labels = np.arange(12) % 3
    assert likely_wrong(labels, np.eye(3)[labels]) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 10**6))
def test_it_is_the_definition(classes, rows, seed):
    generator = np.random.default_rng(seed)
    labels, probs = generator.integers(0, classes, rows), generator.dirichlet(np.ones(classes), rows)
    limits = [probs[labels == k, k].mean() if (labels == k).any() else np.inf for k in range(classes)]
    expected = set()
    for row in range(rows):
        confident = [k for k in range(classes) if probs[row, k] >= limits[k] - 1e-9]
        if confident:
            best = max(confident, key=lambda k: probs[row, k])
            if best != labels[row]:
                expected.add((row, best))
    suspects = likely_wrong(labels, probs)
    assert {(suspect.row, suspect.suggested) for suspect in suspects} == expected
    assert [suspect.margin for suspect in suspects] == sorted(suspect.margin for suspect in suspects)


def test_planted_errors_are_found():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 4, 1000)
    logits = generator.normal(0, 1, (1000, 4)) + 7 * np.eye(4)[truth]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels, wrong = truth.copy(), generator.choice(1000, 50, replace=False)
    labels[wrong] = (labels[wrong] + generator.integers(1, 4, 50)) % 4
    suspects = likely_wrong(labels, probs)
    right = [suspect for suspect in suspects if suspect.row in wrong]
    assert len(right) >= 42
    assert len(right) >= 0.85 * len(suspects)
    assert sum(suspect.suggested == truth[suspect.row] for suspect in right) >= 0.95 * len(right)


def test_rows_without_probabilities_and_classes_without_rows_are_passed_over():
    probs = np.vstack([np.column_stack([PROBS, np.zeros(5)]), np.full((1, 3), np.nan)])
    assert [suspect.row for suspect in likely_wrong(np.append(LABELS, 1), probs)] == [2]
    assert likely_wrong(np.zeros(0, int), np.zeros((0, 3))) == []
    assert isinstance(likely_wrong(LABELS, PROBS)[0], Suspect)


@pytest.mark.parametrize(("labels", "probs"), [(LABELS, PROBS[:4]), (LABELS + 1, PROBS), (LABELS, PROBS[:, 0])])
def test_shapes_that_do_not_fit_are_refused(labels, probs):
    with pytest.raises(ValueError, match="do not fit"):
        likely_wrong(labels, probs)
