"""Every limit case that a docstring states is held by a test that says so, and every mark names something that
exists.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from recipe.commands.docs import component, limit_cases, limit_of, marks, paragraph
from recipe.components.families import FAMILIES, family

TESTS = Path(__file__).resolve().parents[1]
MARKS = marks(TESTS)
LIMITS = [(name, each) for name in FAMILIES for each in family(name) if limit_of(family(name)[each])]
# Beside the components: the mechanisms whose limit or reference is the cheapest strong test.
BESIDE = {
    ("limit", "recipe.training.step.average", "ExponentialMovingAverage"),
    ("limit", "recipe.training.step.distill", "distilled"),
    ("limit", "recipe.training.step.update", "Update"),
    ("limit", "recipe.training.step.objective", "Objective"),
    ("limit", "recipe.tune.soup", "mean_of_weights"),
    ("limit", "recipe.serving.averaging", "tempered"),
    ("reference", "recipe.training.step.objective", "Objective"),
    ("reference", "recipe.training.step.distill", "distilled"),
}


@pytest.mark.parametrize(("name", "each"), LIMITS, ids=[f"{name}-{each}" for name, each in LIMITS])
def test_a_component_with_a_limit_case_has_a_test_of_it(name, each):
    held = [mark.test for mark in MARKS if (mark.kind, mark.place, mark.name) == ("limit", name, each)]
    assert held, f"no test is marked @pytest.mark.limit({name!r}, {each!r}): {limit_of(family(name)[each])}"


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: f"{mark.kind}-{mark.place}-{mark.name}-{mark.test}")
def test_a_mark_names_something_that_has_what_it_holds(mark):
    thing = component(mark.place, mark.name)
    assert mark.kind == "reference" or limit_of(thing), f"{mark.test}: {mark.place} {mark.name} states no limit case"


def test_every_metric_and_optimizer_has_a_reference():
    compared = {(mark.place, mark.name) for mark in MARKS if mark.kind == "reference"}
    assert {(name, each) for name in ("metric", "optimizer") for each in family(name)} - compared <= {
        ("optimizer", "ranger")
    }  # of parts


def test_the_mechanisms_beside_the_components_are_held_too():
    assert {(mark.kind, mark.place, mark.name) for mark in MARKS} >= BESIDE


def test_the_page_has_a_row_for_every_limit_case_and_names_the_tests(tmp_path):
    (tmp_path / "test_own.py").write_text(
        "import pytest\n\n\n@pytest.mark.limit('loss', 'focal')\n@pytest.mark.slow\ndef test_this():\n    pass\n",
        encoding="utf-8",
    )
    text = limit_cases(tmp_path)
    assert "| `focal` | gamma=0 is cross-entropy. | `test_own::test_this` |  |" in text
    assert text.count("| `smoothing` | epsilon=0 is cross-entropy. |  |  |") == 1
    assert sum(line.startswith("| `") for line in text.splitlines()) == len(LIMITS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It does.\n\nLimit: a is b.\nRaises:\n    SpecError: no.", "a is b."),
        ("It does. Limit: a\nis b. Source: X, 2020.", "a is b"),
        ("It does.\n\nSource: X.\nLimit: a is b.\n\nMore.", "a is b."),
        ("The Limit: none", ""),
    ],
)
def test_the_limit_line_ends_where_the_next_begins(text, found):
    assert paragraph(text, "Limit") == found
