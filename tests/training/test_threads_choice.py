"""The number of threads follows the machine, on simulated steps: no clock, no neighbour."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recipe.system.runtime import Runtime
from recipe.training.clock.threads import PATIENCE, ThreadChoice, numbers_to_try

QUIET, BUSY = {2: 1.0, 1: 1.6}, {2: 9.0, 1: 3.5}  # seconds of a step, by number of threads


def simulated(choice: ThreadChoice, machine: dict[int, float], seconds: float) -> None:
    """Steps on a machine until so much time has passed."""
    while seconds > 0:
        took = machine[choice.threads]
        choice.stepped(took)
        seconds -= took


def test_a_busy_neighbour_costs_a_minute_and_then_one_thread_works_alone(capsys):
    used: list[int] = []
    choice = ThreadChoice(2, [2, 1], used.append)
    simulated(choice, QUIET, 100)
    simulated(choice, BUSY, PATIENCE - 10)
    assert choice.threads == 2 and used == []
    simulated(choice, BUSY, 100)
    assert choice.threads == 1 and used[-1] == 1
    assert "--threads 2 pins" in capsys.readouterr().out
    simulated(choice, QUIET, 300)
    assert choice.threads == 2, "the neighbour has gone"
    said = capsys.readouterr().out
    assert "2 from here on" in said and "pins" not in said


def test_one_slow_step_or_a_slow_validation_is_no_other_machine():
    choice = ThreadChoice(2, [1], pytest.fail)
    for _ in range(30):
        simulated(choice, QUIET, 20)
        choice.stepped(PATIENCE - 1)


@pytest.mark.limit("recipe.training.clock.threads", "ThreadChoice")
@pytest.mark.parametrize("pinned", [True, False])
def test_what_is_pinned_or_decides_nothing_stays(pinned):
    device = torch.device("cpu") if pinned else torch.device("meta")
    choice = ThreadChoice.of(Runtime(device, threads=2), pinned)
    choice.use = pytest.fail
    simulated(choice, QUIET, 100)
    simulated(choice, BUSY, 1000)


def test_a_number_that_is_hardly_faster_changes_no_bits():
    used: list[int] = []
    choice = ThreadChoice(4, numbers_to_try(4), used.append)
    simulated(choice, {4: 1.0}, 20)
    simulated(choice, {4: 5.0, 2: 4.8, 1: 9.0}, 300)
    assert used == [4, 2, 1, 4] and choice.threads == 4


@given(st.integers(1, 300))
def test_the_numbers_fall_from_all_to_one(threads):
    numbers = numbers_to_try(threads)
    assert numbers[0] == threads and numbers[-1] == 1 and numbers == sorted(set(numbers), reverse=True)


@given(st.lists(st.floats(0.001, 1000), max_size=300))
def test_it_always_runs_on_one_of_its_numbers(seconds):
    choice = ThreadChoice(8, numbers_to_try(8), lambda number: None)
    for each in seconds:
        choice.stepped(each)
        assert choice.threads in choice.numbers
