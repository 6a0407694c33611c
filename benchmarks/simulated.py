"""A machine that is only a clock: training on it is real, and takes the seconds that its profile says.

    machine = Machine(step=0.5, slow_after=600, slow_factor=2)
    with machine.running():
        cross_validate(..., limit=TimeLimit(1200, machine.now, clock=machine.clock))
    machine.now        # when it was done

The accuracy of such a run is that of the same decisions on a machine of that speed; only the waiting is left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

import numpy as np
import torch

import recipe.training.clock.pacer
import recipe.training.run
from recipe.components.optimizers import passes_per_step
from recipe.components.views import build_views
from recipe.system.runtime import Runtime
from recipe.training.clock.cost import FORWARD_SHARE, TRIED
from recipe.training.fold import FoldTraining
from recipe.training.step.update import Update
from recipe.training.validation import Validation


@dataclass
class Machine:
    """Seconds of everything, and what goes wrong with them."""

    step: float = 1.0  # of one forward and backward pass over a batch, at the speed of the beginning
    batch: int = 32  # pictures in it
    begin: float = 20.0  # until the first fold may begin: imports, decoding
    expected: float = 1.0  # the timing at the start says so many times the truth
    cold: float = 1.0  # factor of the first epoch's steps
    validation: float = 1.0  # factor of what validation should cost by the rule of a third
    slow_after: float = float("inf")  # seconds of the clock
    slow_factor: float = 1.0  # from then on; below 1 it is a faster machine
    stalls: tuple[tuple[float, float], ...] = ()  # (when, how long)
    memory: int = 10**9  # pictures per pass; with more it runs out of memory
    now: float = 0.0
    _stalled: set[int] = field(default_factory=set)

    def clock(self) -> float:
        """Its time in seconds."""
        return self.now

    @property
    def picture(self) -> float:
        """Seconds of one forward pass of one picture."""
        return self.step / self.batch * FORWARD_SHARE

    def step_seconds(self, micro_batch: int, first: bool = False) -> float:
        """One pass at the speed of the beginning, in parts, which are slower; in the first epoch with what is cold."""
        parts = -(-self.batch // min(self.batch, micro_batch))
        return self.step * (self.cold if first else 1.0) * (1 + 0.15 * (parts - 1))

    def spend(self, seconds: float) -> None:
        """Works for as long as it takes at the present speed; a stall that is due comes on top."""
        fast = min(seconds, max(0.0, self.slow_after - self.now))
        self.now += fast + (seconds - fast) * self.slow_factor
        for number, (when, how_long) in enumerate(self.stalls):
            if self.now >= when and number not in self._stalled:
                self._stalled.add(number)
                self.now += how_long

    def answer(self, pictures: int, folds: int, views: int) -> None:
        """Predicts the hidden pictures; nothing stalls any more, since nobody could do anything about it."""
        self._stalled |= set(range(len(self.stalls)))
        self.spend(pictures * self.picture * (1 + folds * views))

    @contextlib.contextmanager
    def running(self) -> Iterator[Machine]:
        """Within the block, training takes this machine's time."""
        self.spend(self.begin)
        timed = Runtime(
            torch.device("cpu"), micro_batch=self.batch, pictures_per_second=self.batch / (self.step * self.expected)
        )
        with contextlib.ExitStack() as patches:
            for target, name, new in (
                (recipe.training.run, "choose_runtime", lambda *about: replace(timed)),
                (
                    recipe.training.clock.pacer,
                    "time_answers",
                    lambda *about: self.tried(len(build_views(about[2].views, about[2].evaluation_size))),
                ),
                (FoldTraining, "take", self._stepping(FoldTraining.take)),
                (Validation, "probs", self._validating(Validation.probs)),
                (Validation, "_pictures", self._forwarding(Validation._pictures)),
                (Update, "_accumulate", self._short_of_memory(Update._accumulate)),
            ):
                patches.enter_context(mock.patch.object(target, name, new))
            yield self

    def tried(self, views: int) -> float:
        """Seconds of one picture that is answered alone, by trying some."""
        clock = [self.now]
        for _ in range(TRIED):
            self.spend(self.picture * (1 + views))
            clock.append(self.now)
        return float(np.median(np.diff(clock)[1:]))

    def _stepping(self, real: Any) -> Any:
        def step(fold: FoldTraining, *words: Any, **named: Any) -> float:
            first = fold.fold.index == 0 and fold.state.epoch == 0
            self.spend(passes_per_step(fold.config.optimizer) * self.step_seconds(fold.runtime.micro_batch, first))
            return real(fold, *words, **named)

        return step

    def _validating(self, real: Any) -> Any:
        def probs(validation: Validation, model: Any, views: str = "identity()") -> np.ndarray:
            self._views = len(build_views(views, validation.run.preprocessing.size))
            return real(validation, model, views)

        return probs

    def _forwarding(self, real: Any) -> Any:
        def pictures(validation: Validation) -> Iterator[np.ndarray]:
            for picture in real(validation):
                self.spend(self.picture * self.validation * self._views)
                yield picture

        return pictures

    def _short_of_memory(self, real: Any) -> Any:
        def accumulate(update: Update, batch: Any) -> float:
            if min(update.runtime.micro_batch, len(batch)) > self.memory:
                self.spend(self.step)
                raise torch.OutOfMemoryError("simulated")
            return real(update, batch)

        return accumulate


def cost(machine: Machine, folds: int, epochs: int, steps: int, valid: int, hidden: int, views: int = 1) -> float:
    """Seconds that a fixed plan takes on such a machine, with the prediction of the hidden pictures."""
    machine = replace(machine, now=0.0, _stalled=set())
    machine.spend(machine.begin)
    for fold in range(folds):
        for epoch in range(epochs):
            for _ in range(steps):
                machine.spend(machine.step_seconds(machine.memory, first=not fold and not epoch))
            for _ in range(valid):
                machine.spend(machine.picture * machine.validation)
        for _ in range(valid * (1 if views == 1 else 1 + views)):
            machine.spend(machine.picture * machine.validation)
    machine.answer(hidden, folds, views)
    return machine.now
