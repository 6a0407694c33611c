"""Schedules: pure, bounded, falling where they should fall, with known end points."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recipe.components.schedules import SCHEDULES, plateau, with_warmup
from recipe.registry import SpecError

FALLING = ["constant", "step", "multistep", "exponential", "cosine", "polynomial", "plateau"]
progresses = st.floats(0, 1)


@pytest.mark.parametrize("name", SCHEDULES)
@given(progress=progresses, fraction=st.floats(0, 0.5))
def test_every_schedule_is_bounded_and_pure(name: str, progress: float, fraction: float) -> None:
    schedule = with_warmup(SCHEDULES.build(name), fraction)
    factor = schedule(progress)
    schedule(1 - progress)
    assert schedule(progress) == factor and 0 <= factor <= 1 + 1e-12


@pytest.mark.parametrize("name", FALLING)
@given(pair=st.tuples(progresses, progresses).map(sorted))
def test_falling_schedules_never_rise(name: str, pair: list[float]) -> None:
    schedule = SCHEDULES.build(name)
    assert schedule(0) == 1
    assert schedule(pair[1]) <= schedule(pair[0])


@pytest.mark.parametrize("name", SCHEDULES)
def test_without_warmup_it_is_the_schedule(name: str) -> None:
    schedule = SCHEDULES.build(name)
    warmed = with_warmup(schedule, 0.0)
    assert all(warmed(progress / 50) == schedule(progress / 50) for progress in range(51))


@pytest.mark.parametrize("name", SCHEDULES)
def test_warmup_rises_to_the_schedule_and_ends_with_it(name: str) -> None:
    schedule = SCHEDULES.build(name)
    warmed = with_warmup(schedule, 0.1, start=0.01)
    assert warmed(0.0) == pytest.approx(0.01 * schedule(0))
    assert warmed(0.1) == pytest.approx(schedule(0)) and warmed(0.1 - 1e-9) == pytest.approx(schedule(0), rel=1e-6)
    assert warmed(1.0) == schedule(1.0)
    rises = [warmed(progress / 1000) for progress in range(100)]
    assert rises == sorted(rises)


@pytest.mark.limit("schedule", "step", "multistep", "exponential", "cosine", "one_cycle", "polynomial", "plateau")
@pytest.mark.parametrize(
    "spec",
    [
        "step(gamma=1)",
        "multistep(gamma=1)",
        "multistep(())",
        "exponential(1)",
        "cosine(1)",
        "cosine_restarts(final=1)",
        "one_cycle(first=1, final=1)",
        "polynomial(0)",
        "polynomial(final=1)",
        "plateau(gamma=1)",
    ],
)
@given(progress=st.floats(0, 0.999999))
def test_limits_are_constant(spec: str, progress: float) -> None:
    assert SCHEDULES.build(spec)(progress) == pytest.approx(1)


@pytest.mark.limit("schedule", "cosine_restarts")
@given(progress=st.floats(0, 0.999999), final=st.floats(0, 1))
def test_one_cycle_of_restarts_is_cosine(progress: float, final: float) -> None:
    restarts, cosine = (
        SCHEDULES.build(f"cosine_restarts(cycles=1, final={final})"),
        SCHEDULES.build(f"cosine(final={final})"),
    )
    assert restarts(progress) == pytest.approx(cosine(progress))


@pytest.mark.reference("schedule", "exponential", "one_cycle")
@pytest.mark.parametrize(
    ("spec", "progress", "factor"),
    [
        ("cosine", 0.5, 0.5),
        ("cosine(final=0.2)", 1.0, 0.2),
        ("step(every=0.25, gamma=0.5)", 0.75, 0.125),
        ("multistep((0.5, 0.75), 0.1)", 0.5, 0.1),
        ("multistep((0.5, 0.75), 0.1)", 0.49999, 1.0),
        ("multistep((0.5, 0.75), 0.1)", 1.0, 0.01),
        ("exponential(0.01)", 0.5, 0.1),
        ("polynomial(power=1)", 0.25, 0.75),
        ("polynomial(power=2)", 0.5, 0.25),
        ("one_cycle(peak=0.3)", 0.3, 1.0),
        ("one_cycle(first=0.04)", 0.0, 0.04),
        ("one_cycle(final=0.001)", 1.0, 0.001),
        ("cosine_restarts(cycles=2, longer=1)", 0.5, 1.0),
        ("cosine_restarts(cycles=2, longer=1)", 0.75, 0.5),
        ("cosine_restarts(cycles=2, longer=3)", 0.125, 0.5),
        ("cosine_restarts(cycles=3)", 1.0, 0.0),
    ],
)
def test_known_values(spec: str, progress: float, factor: float) -> None:
    assert SCHEDULES.build(spec)(progress) == pytest.approx(factor)


def test_milestones_fall_on_their_step_in_spite_of_rounding() -> None:
    schedule = SCHEDULES.build("step(every=0.1, gamma=0.5)")
    assert [schedule(step / 10) for step in range(10)] == [0.5**step for step in range(10)]
    warmed = with_warmup(SCHEDULES.build("multistep((0.5,), gamma=0.1)"), 0.2)
    assert warmed(6 / 10) == 0.1 and warmed(5.9 / 10) == 1


def torch_factors(make: object, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)  # type: ignore[operator]
    factors = []
    for _ in range(steps):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


@pytest.mark.reference("schedule", "cosine", "multistep", "step", "polynomial", "cosine_restarts")
@pytest.mark.parametrize(
    ("spec", "make"),
    [
        ("cosine", lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)),
        (
            "multistep((0.25, 0.5), 0.1)",
            lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [10, 20], 0.1),
        ),
        ("step(0.25, 0.5)", lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.5)),
        ("polynomial(2)", lambda optimizer: torch.optim.lr_scheduler.PolynomialLR(optimizer, 40, 2.0)),
        (
            "cosine_restarts(cycles=2, longer=3)",
            lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=10, T_mult=3),
        ),
    ],
)
def test_agrees_with_torch(spec: str, make: object) -> None:
    schedule = SCHEDULES.build(spec)
    assert [schedule(step / 40) for step in range(40)] == pytest.approx(torch_factors(make, 40))


@pytest.mark.reference("schedule", "plateau")
@given(st.lists(st.floats(0.01, 3), min_size=1, max_size=30), st.integers(0, 3))
def test_plateau_agrees_with_torch(losses: list[float], patience: int) -> None:
    schedule = plateau(gamma=0.5, patience=patience)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience, eps=0)
    for loss in losses:
        schedule.observe(loss)
        reference.step(loss)
        assert schedule(0.5) == pytest.approx(optimizer.param_groups[0]["lr"])


def test_plateau_resumes_where_it_stopped_and_takes_nan_as_no_improvement() -> None:
    losses = [1.0, 0.9, 0.95, math.nan, 0.91, 0.92, 0.93]
    whole, first, second = (plateau(patience=1) for _ in range(3))
    for loss in losses:
        whole.observe(loss)
    for loss in losses[:3]:
        first.observe(loss)
    second.load_state_dict(first.state_dict())
    for loss in losses[3:]:
        second.observe(loss)
    assert second.state_dict() == whole.state_dict() and second(1.0) == pytest.approx(0.01)


@pytest.mark.parametrize(
    "spec",
    [
        "step(every=0)",
        "multistep((0.5, 1.5))",
        "cosine(final=2)",
        "cosine_restarts(cycles=0)",
        "one_cycle(peak=1)",
        "cosin",
    ],
)
def test_wrong_settings_are_refused(spec: str) -> None:
    with pytest.raises(SpecError):
        SCHEDULES.build(spec)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, math.nan])
def test_wrong_warmup_is_refused(fraction: float) -> None:
    with pytest.raises(SpecError, match="warm-up"):
        with_warmup(SCHEDULES.build("constant"), fraction)
