"""The pacer on hundreds of random machines, without a network (benchmarks/paced.py): in time, no time wasted, no fold
too short.

What no plan can reach is named here and in docs/time_limit.md; everything else has to hold.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.paced import Contest, play
from benchmarks.simulated import Machine, cost
from recipe.training.clock.cost import SLOWER_STEPS
from recipe.training.clock.plan import Work

KINDS = {
    "steady": (),
    "slows": ("slows",),
    "recovers": ("recovers",),
    "stalls": ("stalls",),
    "memory": ("memory",),
    "cold": ("cold",),
    "validation": ("validation",),
    "misjudged": ("misjudged",),
    "noise": ("noise",),
    "bursts": ("bursts",),
    "cold and slow to validate": ("cold", "validation"),
    "everything": ("slows", "stalls", "memory", "cold", "validation", "misjudged", "noise"),
}
RUNS = 20  # of each kind
SPARE = 1.15  # times what a fold of the floor takes: the plan's margins


def some_contest(random):
    steps, folds = int(random.integers(5, 41)), int(random.integers(1, 5))
    rows = 16 * steps
    return Contest(
        Work(steps, steps * int(random.integers(3, 13))),
        folds,
        max(4, rows // 4),
        max(4, rows // 4),
        int(random.integers(1, 3)),
    )


def some_machine(random, kind, limit):
    traits = {
        "slows": {"slow_after": random.uniform(0, limit), "slow_factor": random.uniform(1.2, 3)},
        "recovers": {"slow_after": random.uniform(0, limit), "slow_factor": random.uniform(0.25, 0.9)},
        "stalls": {
            "stalls": tuple(zip(random.uniform(0, 0.95, 3) * limit, random.uniform(0, 0.05, 3) * limit, strict=True))
        },
        "memory": {"memory": 8},
        "cold": {"cold": random.uniform(1.2, 4)},
        "validation": {"validation": random.uniform(0.5, 4)},
        "misjudged": {"expected": math.exp(random.uniform(-1.2, 1.2))},
    }
    profile = {"step": 1.0, "batch": 16, "begin": random.uniform(5, 25)}
    return Machine(**profile | {name: value for trait in KINDS[kind] for name, value in traits.get(trait, {}).items()})


def some_limit(random, contest):
    """From a fold of three epochs to a third more than all that is asked for, at the speed of a plain machine."""
    least, most = (
        plain_seconds(contest, folds, epochs)
        for folds, epochs in ((1, 3), (contest.folds, epochs_of(contest, contest.work.asked)))
    )
    return 60 + math.exp(random.uniform(math.log(1.5 * least), math.log(max(2 * least, 1.3 * most))))


def epochs_of(contest, steps):
    return math.ceil(steps / contest.work.steps_per_epoch)


def plain_seconds(contest, folds, epochs, machine=None):
    return cost(
        machine or Machine(batch=16, begin=0.0),
        folds,
        epochs,
        contest.work.steps_per_epoch,
        contest.valid,
        contest.hidden,
        contest.views,
    )


def factors(random, kind):
    """Of the steps' seconds: noise, or a loader that delivers some batches at once and then lets the next one wait."""
    noise = random.uniform(0.05, 0.3) if "noise" in KINDS[kind] else 0.0
    every = int(random.integers(2, 17)) if "bursts" in KINDS[kind] else 1
    waits = random.uniform(0.3, 0.7) * every  # so many mean steps are waited for at once
    for step in itertools.count(1):
        share = 1.0 if every == 1 else (waits if step % every == 0 else (every - waits) / (every - 1))
        yield share * math.exp(noise * random.standard_normal())


def runs(kind, first=7_000_000):
    for seed in range(first, first + RUNS):
        random = np.random.default_rng([seed, *kind.encode()])
        contest = some_contest(random)
        limit = some_limit(random, contest)
        machine = some_machine(random, kind, limit)
        yield (
            f"{kind}, seed {seed}",
            machine,
            contest,
            limit,
            play(replace(machine, _stalled=set()), contest, limit, factors(random, kind)),
        )


@pytest.mark.parametrize("kind", KINDS)
def test_random_machines_are_in_time_and_use_it(kind):
    for name, machine, contest, limit, played in runs(kind):
        about = (name, machine, contest, limit, played)
        assert played.seconds <= limit or unreachable(machine, contest, limit, played), about
        share = (
            0.7 if "slows" in KINDS[kind] else 0.8
        )  # slowing down within a validation, it is believed to be slower than it is until the next
        assert played.seconds >= share * limit or got_all_it_could(machine, contest, limit, played), about
        assert played.steps, about
        if SPARE * plain_seconds(contest, 1, epochs_of(contest, contest.work.floor), machine) + 10 <= limit:
            assert played.steps[0] >= contest.work.floor, about
        if not {"slows", "stalls", "bursts"} & set(
            KINDS[kind]
        ):  # a fold that was begun before its machine grew slower may end below
            assert min(played.steps[1:], default=math.inf) >= 0.9 * contest.work.floor, (
                about
            )  # begun with just enough time for it


def unreachable(machine, contest, limit, played):
    """Whether trouble came after the last step, or so late that the prediction of the hidden pictures alone does not
    fit any more.
    """
    slow = max(1.0, machine.slow_factor)
    predicting = contest.hidden * machine.picture * (1 + len(played.steps) * contest.views)
    noticed = (SLOWER_STEPS + 1) * machine.step_seconds(machine.memory) * slow
    late = [(machine.slow_after, 0.0)] if slow > 1 else []
    return any(
        when <= limit and (when > played.last_step or when + stalled + noticed + slow * predicting > limit)
        for when, stalled in (*late, *machine.stalls)
    )


def got_all_it_could(machine, contest, limit, played):
    """Whether nothing more could be had: a further fold has no time for the floor, or there is none; the last one has
    what was asked for.

    Earlier folds may have less where the machine recovered after them. A tenth of a fold, or a quarter of an epoch, is
    no reason to plan anew.
    """
    work = contest.work
    enough = min(0.9 * work.asked, work.asked - 0.25 * work.steps_per_epoch)
    if played.steps[-1] < enough:
        return False
    now = replace(
        machine, begin=0.0, cold=1.0, slow_after=0.0 if machine.slow_after < played.seconds else math.inf, stalls=()
    )
    further = plain_seconds(contest, 1, epochs_of(contest, work.floor), now)
    return len(played.steps) == contest.folds or limit - played.seconds < SPARE * further + 10
