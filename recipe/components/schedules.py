"""Learning-rate schedules: pure functions from progress, the share of the run done, to a factor of the base rate.

A component returns `schedule(progress in [0, 1]) -> factor >= 0`. The number of steps does not enter: resuming needs
the step alone. Milestones are shares of the run. `with_warmup` puts a linear rise before any of them. The one exception
is `plateau`, which follows the validation loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

from annotated_types import Ge, Le

from protocol.language import tr
from recipe.registry import Count, NotNegative, Positive, Probability, Registry, SpecError

Schedule = Callable[[float], float]
Decay = Annotated[float, Ge(0), Le(1)]

SCHEDULES = Registry("schedule", accepts="progress in [0, 1]; gives the factor of the learning rate")


def with_warmup(schedule: Schedule, fraction: float, start: float = 0.01) -> Schedule:
    """`schedule` after a linear rise over `fraction` of the run, from `start` times the schedule's first value.

    The schedule itself is squeezed into the rest, so that its end is the run's end.

    Source: Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017, section 2.2.
    Limit: fraction=0 is the schedule itself.
    """
    if not 0 <= fraction < 1:
        raise SpecError(
            tr("warm-up {fraction} is refused: a share of the run, at least 0 and below 1.", fraction=fraction)
        )

    def warmed(progress: float) -> float:
        if progress < fraction:
            return schedule(0.0) * (start + (1 - start) * progress / fraction)
        return schedule(min(1.0, (progress - fraction) / (1 - fraction)))

    return warmed


@SCHEDULES.register
def constant() -> Schedule:
    """The base rate throughout.

    Source: Robbins, Monro, "A Stochastic Approximation Method", 1951, section 1 (the sequence of steps that others let
    fall).
    """
    return lambda progress: 1.0


def _passed(milestones: tuple[float, ...], progress: float) -> int:
    """How many milestones lie behind; the margin keeps one on a step boundary on its step in spite of rounding."""
    return sum(progress >= milestone - 1e-9 for milestone in milestones)


@SCHEDULES.register
def step(every: Positive = 0.3, gamma: Decay = 0.1) -> Schedule:
    """Multiplies the rate by `gamma` after each `every` share of the run.

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2016, section 3.4 (every 30 of 90
    epochs).
    Limit: gamma=1 is constant.
    """
    return lambda progress: gamma ** math.floor(progress / every + 1e-9)


@SCHEDULES.register
def multistep(milestones: tuple[Probability, ...] = (0.3, 0.6, 0.8), gamma: Decay = 0.2) -> Schedule:
    """Multiplies the rate by `gamma` at each milestone, a share of the run.

    Source: Zagoruyko, Komodakis, "Wide Residual Networks", 2016, section 3 (0.2 at epochs 60, 120 and 160 of 200).
    Limit: no milestone, or gamma=1, is constant.
    """
    return lambda progress: gamma ** _passed(milestones, progress)


@SCHEDULES.register
def exponential(final: Annotated[float, Ge(1e-12), Le(1)] = 0.01) -> Schedule:
    """Falls by the same share at every step, to `final` of the base rate at the end.

    Source: Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019, section 5.2.
    Limit: final=1 is constant.
    """
    return lambda progress: final**progress


@SCHEDULES.register
def cosine(final: Decay = 0.0) -> Schedule:
    """Falls along half a cosine from 1 to `final`.

    Source: Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, section 3.
    Limit: final=1 is constant.
    """
    return lambda progress: final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2


@SCHEDULES.register
def cosine_restarts(cycles: Count = 3, longer: Positive = 2.0, final: Decay = 0.0) -> Schedule:
    """Cosine that starts again `cycles - 1` times; each cycle is `longer` times the one before it.

    Source: Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, section 3 (their T_mult is
    `longer`).
    Limit: cycles=1 is cosine.
    """
    lengths = [longer**cycle for cycle in range(cycles)]
    ends = [sum(lengths[: cycle + 1]) / sum(lengths) for cycle in range(cycles)]
    fall = cosine(final)

    def schedule(progress: float) -> float:
        cycle = min(_passed(tuple(ends), progress), cycles - 1)
        begin = ends[cycle - 1] if cycle else 0.0
        return fall(min(1.0, max(0.0, (progress - begin) / (ends[cycle] - begin))))

    return schedule


@SCHEDULES.register
def one_cycle(peak: Annotated[float, Ge(0.01), Le(0.99)] = 0.3, first: Decay = 0.04, final: Decay = 4e-6) -> Schedule:
    """Rises from `first` to the base rate at `peak` of the run, then falls to `final`, both along half a cosine.

    Source: Smith, Topin, "Super-Convergence: Very Fast Training of Neural Networks", 2018, section 3; torch,
    OneCycleLR.
    Limit: first=1 and final=1 is constant.
    """
    rise, fall = cosine(first), cosine(final)
    return lambda progress: rise(1 - progress / peak) if progress < peak else fall((progress - peak) / (1 - peak))


@SCHEDULES.register
def polynomial(power: NotNegative = 0.9, final: Decay = 0.0) -> Schedule:
    """Falls from 1 to `final` as (1 - progress)^power; power=1 is a straight line.

    Source: Chen et al., "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets", 2018, section 4.1.
    Limit: power=0 or final=1 is constant.
    """
    return lambda progress: final + (1 - final) * (1 - progress) ** power


@SCHEDULES.register
class plateau:  # noqa: N801  (components carry the literature's name)
    """Multiplies the rate by `gamma` once validation loss has not fallen by `threshold` in over `patience` epochs.

    No function of progress: `observe(valid_loss)` is called after each epoch, and `state_dict` belongs into the resume
    state.

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2016, section 3.4; torch,
    ReduceLROnPlateau.
    Limit: gamma=1 is constant.
    """

    def __init__(
        self, gamma: Decay = 0.1, patience: Annotated[int, Ge(0)] = 3, threshold: Probability = 1e-4, final: Decay = 0.0
    ) -> None:
        self.gamma, self.patience, self.threshold, self.final = gamma, patience, threshold, final
        self._factor, self._best, self._waited = 1.0, math.inf, 0

    def __call__(self, progress: float) -> float:
        """The factor reached so far, never below `final`."""
        return max(self._factor, self.final)

    def observe(self, valid_loss: float) -> None:
        """Takes note of an epoch's validation loss; one that is not a number counts as no improvement."""
        improved = valid_loss < self._best * (1 - self.threshold)
        self._best = valid_loss if improved else self._best
        self._waited = 0 if improved else self._waited + 1
        if self._waited > self.patience:
            self._factor, self._waited = self._factor * self.gamma, 0

    def state_dict(self) -> dict[str, float]:
        """All that `observe` changes."""
        return {"factor": self._factor, "best": self._best, "waited": self._waited}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Continues where `state_dict` was taken."""
        self._factor, self._best, self._waited = state["factor"], state["best"], int(state["waited"])
