"""A run without a network: the pacer alone decides, on a machine that is only a clock. Hundreds of runs take seconds.

    played = play(Machine(step=2.0), Contest(Work(20, 200), folds=4, valid=80, hidden=300), seconds=1200)
    played.steps       # of every fold that was begun
    played.seconds     # when the hidden pictures were predicted

It goes through the same events as a fold of `recipe.training.fold`, in the same order; tests/test_pacer.py holds it
against one.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from benchmarks.simulated import Machine
from recipe.training.clock.cost import FORWARD_SHARE
from recipe.training.clock.limit import TimeIsUpError, TimeLimit
from recipe.training.clock.pacer import Pacer
from recipe.training.clock.plan import Costs, Work


@dataclass(frozen=True)
class Contest:
    """What is asked for."""

    work: Work
    folds: int
    valid: int  # pictures of a fold that are validated
    hidden: int  # pictures that are predicted
    views: int = 1


@dataclass
class Played:
    """What became of it."""

    steps: list[int] = field(default_factory=list)  # of each fold
    said: list[str] = field(default_factory=list)
    last_step: float = 0.0  # when it was done
    seconds: float = 0.0


def play(machine: Machine, contest: Contest, seconds: float, factors: Iterator[float] | None = None) -> Played:
    """A run with a limit. The machine's clock moves.

    Args:
        factors: of the seconds of each step; 1 by default.
    """
    machine.spend(machine.begin)
    played, limit = Played(), TimeLimit(seconds, 0.0, machine.clock)
    pacer = Pacer(
        limit,
        _expected(machine, contest),
        predict=lambda: contest.hidden * machine.tried(contest.views),
        say=played.said.append,
    )
    for fold in range(contest.folds):
        if (end := pacer.begin(fold, contest.work, contest.folds - fold)) is None:
            break
        pacer.started(0, end)
        played.steps.append(0)
        try:
            _train(machine, contest, pacer, played, end, factors or itertools.repeat(1.0))
        except TimeIsUpError:
            break
    machine.answer(contest.hidden, len(played.steps), contest.views)
    played.seconds = machine.now
    return played


def _train(
    machine: Machine, contest: Contest, pacer: Pacer, played: Played, end: int, factors: Iterator[float]
) -> None:
    """One fold."""
    epoch, steps = 0, contest.work.steps_per_epoch
    while epoch * steps < end:
        for done in range(epoch * steps + 1, (epoch + 1) * steps + 1):
            if done > end:
                break
            machine.spend(machine.step_seconds(machine.memory, first=pacer.fold == 0 and epoch == 0) * next(factors))
            played.steps[-1], played.last_step = done, machine.now
            end = pacer.stepped(done, end)
        epoch += 1
        _forward(machine, contest, pacer)
        end = pacer.validated(epoch * steps, end)
    with contextlib.suppress(TimeIsUpError):  # the validation of the best epoch stands for it
        _forward(machine, contest, pacer, 1 if contest.views == 1 else 1 + contest.views)
    pacer.finished()


def _forward(machine: Machine, contest: Contest, pacer: Pacer, views: int = 1) -> None:
    for _ in range(contest.valid):
        pacer.check()
        machine.spend(machine.picture * machine.validation * views)


def _expected(machine: Machine, contest: Contest) -> Costs:
    """By the timing at the start, right or wrong."""
    step = machine.step * machine.expected
    validation = contest.valid * step / machine.batch * FORWARD_SHARE
    expected = Costs(
        step, step * FORWARD_SHARE, validation, 0.0, validation * (1 if contest.views == 1 else 1 + contest.views), 0.0
    )
    return replace(expected, predict=contest.hidden * machine.tried(contest.views))
