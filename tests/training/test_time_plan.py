"""The planner: never over its time, monotone in it, what was asked for where there is enough; and the pace that a
changed plan keeps.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.components.schedules import cosine
from recipe.training.clock.plan import Costs, Pace, Work, plan, seconds_of

seconds = st.floats(0, 100, allow_nan=False)
costs = st.builds(
    Costs,
    step=st.floats(1e-3, 10),
    frozen_step=st.just(0.0),
    validation=seconds,
    start=seconds,
    finish=seconds,
    predict=seconds,
).map(lambda made: Costs(**(vars(made) | {"frozen_step": made.step / 3})))
works = st.builds(
    lambda steps, epochs, frozen: Work(steps, steps * epochs, steps * min(frozen, epochs)),
    st.integers(1, 40),
    st.integers(0, 30),
    st.integers(0, 4),
)
budgets = st.floats(-10, 1e5)
folds = st.integers(1, 6)


@given(budgets, folds, works, costs)
def test_a_plan_never_takes_more_than_there_is(budget, count, work, cost):
    course = plan(budget, count, work, cost)
    if course.folds > 1:
        assert course.folds * seconds_of(course.steps, work, cost) <= budget * (1 + 1e-9) + 1e-6
        assert course.steps >= work.floor
    elif course.folds:
        assert seconds_of(course.steps, work, cost) <= budget + 1e-6
    else:
        assert seconds_of(0, work, cost) > budget


@given(st.data(), budgets, folds, works.filter(lambda work: work.asked > 0), costs)
def test_a_fold_in_work_is_only_planned_beyond_its_time_where_nothing_is_left_to_give_up(
    data, budget, count, work, cost
):
    done = data.draw(st.integers(0, work.asked))
    end = data.draw(st.integers(max(1, done), work.asked))
    course = plan(budget, count, work, cost, done, end)
    assert done <= course.steps <= work.asked
    assert 1 <= course.folds <= count
    if course.folds > 1 or course.steps > done:
        assert seconds_of(course.steps, work, cost, done, begun=True) <= budget + 1e-6
    if course.folds > 1:
        assert (
            course.steps >= end
        )  # nothing is taken from a fold in work for the sake of a later one, nor the other way round
        assert (
            seconds_of(course.steps, work, cost, done, begun=True)
            + (course.folds - 1) * seconds_of(work.floor, work, cost)
            <= budget + 1e-6
        )


@given(budgets, budgets, folds, works, costs)
def test_more_time_is_never_a_poorer_plan(one, other, count, work, cost):
    poor, rich = (plan(budget, count, work, cost) for budget in sorted((one, other)))
    assert (poor.folds, poor.steps) <= (rich.folds, rich.steps)


@given(folds, works, costs)
def test_enough_time_is_what_was_asked_for(count, work, cost):
    course = plan(count * seconds_of(work.asked, work, cost) * (1 + 1e-9) + 1e-6, count, work, cost)
    assert (course.folds, course.steps) == (count, work.asked)


def test_fewer_folds_come_before_too_few_epochs():
    """10 epochs of 10 steps asked for, a second each: at least half of them, before a second fold is begun."""
    work, cost = Work(10, 100), Costs(1, 1, 0, 0, 0, 0)
    assert [
        (course.folds, course.steps)
        for course in (plan(budget, 3, work, cost) for budget in (300, 200, 150, 149, 100, 40))
    ] == [(3, 100), (3, 66), (3, 50), (2, 74), (2, 50), (1, 40)]


def test_a_short_last_epoch_is_not_worth_a_validation():
    work, cost = Work(20, 200), Costs(1, 1, 5, 0, 0, 0)
    assert plan(20 * 3 + 15 + 5 + 4, 1, work, cost).steps == 60
    assert plan(20 * 3 + 15 + 5 + 8, 1, work, cost).steps == 68


def test_the_hidden_pictures_are_part_of_a_fold():
    work = Work(10, 100)
    assert plan(100, 5, work, Costs(1, 1, 0, 0, 0, predict=40)).steps == 60
    assert plan(39, 5, work, Costs(1, 1, 0, 0, 0, predict=40)).folds == 0


@pytest.mark.parametrize(("steps", "frozen"), [(100, 20), (50, 10), (25, 10), (10, 10)])
def test_frozen_epochs_shrink_in_proportion_and_stay_whole(steps, frozen):
    assert Work(10, 100, 20).frozen_of(steps) == frozen


@given(st.integers(1, 1000), st.data())
def test_a_pace_without_a_change_is_the_share_of_the_steps(end, data):
    step = data.draw(st.integers(0, end))
    assert Pace(end).at(step) == step / end
    assert Pace(end).ending(end, step) == Pace(end)


@given(st.integers(1, 1000), st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 3)), max_size=6))
def test_however_often_the_end_moves_progress_ends_with_1_and_falls_back_only_for_a_later_end(end, changes):
    pace, step, before = Pace(end), 0, 0.0
    for share, factor in changes:
        step += int(share * (pace.end - step))
        assert pace.at(step) >= before - 1e-12
        before, old = pace.at(step), pace.end
        pace = pace.ending(max(step + 1, step + int((pace.end - step) * factor)), step)
        fallen = before if pace.end <= old else min(before, step / pace.end)
        assert pace.at(step) == pytest.approx(fallen)
        before = pace.at(step)
    assert pace.at(pace.end) == pytest.approx(1.0)
    assert cosine()(pace.at(pace.end)) == pytest.approx(0.0, abs=1e-12)
    assert Pace(0).at(0) == 0.0


def test_a_fold_in_work_is_brought_to_the_floor_before_another_is_begun():
    """10 epochs of 10 steps asked for: the fold was to end after 3 of them when the machine was slow."""
    work, cost = Work(10, 100), Costs(1, 1, 0, 0, 0, 0)
    assert (plan(99, 2, work, cost, done=20, end=30).folds, plan(79, 2, work, cost, done=20, end=30).folds) == (2, 1)
    assert plan(80, 2, work, cost, done=20, end=30).steps == 50
