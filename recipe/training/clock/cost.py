"""What parts of a run cost in seconds: expected by a short timing, then measured and followed as speed changes.

A step is measured all the time, a validation once per epoch. Every other cost is therefore kept together with the least
that a step has cost since then, and grows with the step: a machine that became half as fast validates and predicts half
as fast as well.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from torch import nn

from recipe.components.optimizers import passes_per_step
from recipe.components.views import build_views
from recipe.config import Config
from recipe.data.folds import Fold
from recipe.pictures.decode import evaluation_side, read_short
from recipe.pictures.preprocessing import Preprocessing
from recipe.serving.torch import average_views
from recipe.system.runtime import Runtime
from recipe.training.clock.plan import Costs, Work, seconds_of

FORWARD_SHARE = 1 / 3  # of a forward and backward pass
WINDOW = 32  # steps
ENOUGH = 3  # steps from which on the measured speed counts
CHANGED = (
    3 / 2
)  # times as slow or as fast as before, for this many steps in a row, and the steps before them are forgotten:
SLOWER_STEPS, FASTER_STEPS = 3, 4
LEAST_HIDDEN = 100  # pictures that a run is expected to answer, where nothing is said, however few it learned from
TRIED = 6  # pictures that are predicted one by one to time it; the first warms up


def work_of(config: Config, fold: Fold) -> Work:
    """What the settings ask of a fold."""
    steps = max(1, len(fold.train_rows) // config.batch_size)
    return Work(steps, steps * config.epochs, steps * config.freeze_epochs)


def hidden_of(config: Config, rows: int) -> int:
    """Pictures whose prediction the limit includes: those of the settings, else a quarter of the rows, or a hundred."""
    return config.hidden_pictures or max(LEAST_HIDDEN, rows // 4)


def expected_costs(config: Config, fold: Fold, runtime: Runtime, hidden: int = 0) -> Costs:
    """Seconds by the timed rate of the machine; a validation costs a third of a pass.

    Args:
        hidden: pictures that will be predicted.
    """
    passes = min(config.batch_size, len(fold.train_rows)) / runtime.pictures_per_second
    forward = (config.evaluation_size / config.image_size) ** 2 * FORWARD_SHARE / runtime.pictures_per_second
    views = len(build_views(config.views, config.evaluation_size))
    validation = len(fold.valid_rows) * forward * (2 if config.ema_decay else 1)
    return Costs(
        step=passes * passes_per_step(config.optimizer),
        frozen_step=passes * FORWARD_SHARE,
        validation=validation,
        start=len(fold.valid_rows) * forward if config.probes else 0.0,
        finish=len(fold.valid_rows) * forward * (1 if config.views == "identity()" else 1 + views),
        predict=hidden * views * forward,
    )


def estimate(config: Config, folds: Sequence[Fold], runtime: Runtime) -> float:
    """Seconds until the last fold is done, by the timed rate."""
    costs = [(work_of(config, fold), expected_costs(config, fold, runtime)) for fold in folds]
    return sum(seconds_of(work.asked, work, cost) for work, cost in costs)


def time_answers(
    model: nn.Module, paths: Sequence[Path], config: Config, preprocessing: Preprocessing, runtime: Runtime
) -> float:
    """Seconds of one fold for one picture with the views, asked alone as the platform asks: the median over some."""
    views = build_views(config.views, preprocessing.size)
    side = evaluation_side(preprocessing.size, preprocessing.crop_pct)
    model = model.to(runtime.device, memory_format=runtime.memory_format)  # type: ignore[call-overload]
    taken = []
    for path in paths[:TRIED]:
        begin = time.perf_counter()
        list(average_views([model], [read_short(path, side)], views, preprocessing, runtime))
        taken.append(time.perf_counter() - begin)
    return median(taken[1:] or taken)


class Speed:
    """Seconds per step: the mean of many without the longest, from the last clear change on.

    So one stall is no slow machine, a machine that slows down is noticed within three steps, and one that recovers
    within four, such as after a first epoch that read from a cold disk.
    """

    def __init__(self, expected: float) -> None:
        self.expected = expected
        self.seen: deque[float] = deque(maxlen=WINDOW)

    def add(self, seconds: float) -> bool:
        """One more step; whether the machine has become a faster one by it."""
        before = self.seconds
        self.seen.append(seconds)
        slow, fast, earlier = (
            list(self.seen)[-SLOWER_STEPS:],
            list(self.seen)[-FASTER_STEPS:],
            list(self.seen)[:-FASTER_STEPS],
        )
        faster = bool(earlier) and max(fast) * CHANGED < median(
            earlier
        )  # no mean: a loader that delivers in bursts is no faster within one
        if faster or (len(self.seen) > SLOWER_STEPS and min(slow) > before * CHANGED):
            self.seen = deque(fast if faster else slow, maxlen=WINDOW)
        return faster

    @property
    def measured(self) -> bool:
        """Whether enough steps were seen."""
        return len(self.seen) >= ENOUGH

    @property
    def seconds(self) -> float:
        """As measured, or as expected before enough steps were seen."""
        if not self.measured:
            return self.expected
        return fmean(sorted(self.seen)[:-1])


@dataclass
class Timed:
    """Something took so long."""

    seconds: float
    frozen: bool  # which kind of step is the measure
    step: float = 0.0  # the least that one has cost since; 0 where none was measured


class Measured:
    """The costs of a run as they are known at any time."""

    def __init__(self, expected: Costs) -> None:
        self.speeds = {False: Speed(expected.step), True: Speed(expected.frozen_step)}
        self.frozen = False
        self._kept = {name: deque([Timed(seconds, False)], maxlen=3) for name, seconds in vars(expected).items()}
        self._expected, self._only_expected = expected, set(self._kept)

    def step(self, seconds: float, frozen: bool) -> bool:
        """A step took so long; whether the machine has become a faster one by it."""
        self.frozen = frozen
        faster = self.speeds[frozen].add(seconds)
        if self.speeds[frozen].measured:
            now = self.speeds[frozen].seconds
            for record in (record for kept in self._kept.values() for record in kept if record.frozen == frozen):
                record.step = min(record.step or now, now)
        return faster

    def took(self, part: str, seconds: float) -> None:
        """A part of the run that is no step took so long: a field of `Costs`, by its name."""
        if part in self._only_expected:
            self._only_expected.discard(part)
            self._kept[part].clear()
        speed = self.speeds[self.frozen]
        self._kept[part].append(Timed(seconds, self.frozen, speed.seconds if speed.measured else 0.0))

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on with."""
        seen = {str(kind): speed.seen for kind, speed in self.speeds.items()}
        return {
            "frozen": self.frozen,
            "seen": {kind: list(steps) for kind, steps in seen.items()},
            "kept": {name: [astuple(record) for record in kept] for name, kept in self._kept.items()},
            "expected": sorted(self._only_expected),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Takes up what `state` gave."""
        self.frozen, self._only_expected = state["frozen"], set(state["expected"])
        for kind, speed in self.speeds.items():
            speed.seen.extend(state["seen"][str(kind)])
        for name, records in state["kept"].items():
            self._kept[name] = deque((Timed(*record) for record in records), maxlen=3)

    @property
    def costs(self) -> Costs:
        """What everything costs at the present speed."""
        others = {name: median(self._now(name)) for name in ("validation", "start", "finish", "predict")}
        others["predict"] = max(
            others["predict"], self._now("predict")[-1]
        )  # itself a median, and nothing comes after that could be shortened
        if "finish" in self._only_expected and self._expected.validation:
            others["finish"] = others["validation"] * self._expected.finish / self._expected.validation
        return Costs(self.speeds[False].seconds, self.speeds[True].seconds, **others)

    def _now(self, name: str) -> list[float]:
        """The last measurements, each at the present speed."""
        return [
            kept.seconds * (self.speeds[kept.frozen].seconds / kept.step if kept.step else 1.0)
            for kept in self._kept[name]
        ]
