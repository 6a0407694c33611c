"""How many folds, and how many steps of each, fit into a time: a pure function of measured costs.

Fewer folds come before too few epochs: as many folds as can be trained for `floor` steps at least, then as many steps
of each as fit. Every fold that is begun has a whole schedule, since a network whose learning rate never came down is
worth less than one fold fewer.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, replace

FLOOR_EPOCHS = 3  # a further fold is not begun for fewer: the fold before is better served with the time
FLOOR_SHARE = 1 / 2  # nor for less than this share of the epochs that were asked for
LEAST_LAST_EPOCH = 0.25  # of an epoch: a shorter rest is not worth another validation


@dataclass(frozen=True)
class Costs:
    """Seconds, measured or expected."""

    step: float  # one optimizer step with everything around it
    frozen_step: float  # likewise while the head alone learns
    validation: float  # after each epoch
    start: float  # of a fold, before its first step
    finish: float  # of a fold, after its last validation: out-of-fold predictions with the views
    predict: float  # what one fold adds to the prediction of the hidden pictures

    def slower(self, factor: float) -> Costs:
        """The costs of a machine that is slower by a factor."""
        return Costs(*(factor * seconds for seconds in vars(self).values()))


@dataclass(frozen=True)
class Work:
    """What was asked for, in steps of one fold."""

    steps_per_epoch: int
    asked: int  # steps of a fold as the settings have it
    frozen: int = 0  # of these, the first ones that train the head alone

    @property
    def floor(self) -> int:
        """Steps for which a further fold is worth beginning."""
        return min(self.asked, max(FLOOR_EPOCHS * self.steps_per_epoch, math.ceil(self.asked * FLOOR_SHARE)))

    def frozen_of(self, steps: int) -> int:
        """Steps with a frozen backbone in a fold of so many: whole epochs, in the proportion that was asked for."""
        if not self.frozen or steps >= self.asked:
            return self.frozen
        epochs = math.ceil(self.frozen * steps / self.asked / self.steps_per_epoch)
        return min(self.frozen, epochs * self.steps_per_epoch)

    def worthwhile(self, steps: int) -> int:
        """So many steps or somewhat fewer, so that a last short epoch is worth its validation."""
        rest = steps % self.steps_per_epoch
        return (
            steps - rest if steps > self.steps_per_epoch and rest < LEAST_LAST_EPOCH * self.steps_per_epoch else steps
        )


@dataclass(frozen=True)
class Course:
    """What is planned from here on."""

    folds: int  # to be finished, with the one in work
    steps: int  # of the one in work, from its beginning; later ones are planned when they begin


def seconds_of(steps: int, work: Work, costs: Costs, done: int = 0, begun: bool = False) -> float:
    """What a fold of so many steps still takes, `done` being behind it; with predicting the hidden pictures."""
    frozen = work.frozen * steps / work.asked if work.asked else 0.0  # no less is frozen in fact: whole epochs
    training = max(0.0, frozen - done) * costs.frozen_step + (steps - max(done, frozen)) * costs.step
    validations = math.ceil(steps / work.steps_per_epoch) - done // work.steps_per_epoch
    return (0.0 if begun else costs.start) + training + validations * costs.validation + costs.finish + costs.predict


def plan(seconds: float, folds: int, work: Work, costs: Costs, done: int = 0, end: int = 0) -> Course:
    """The course that fits into a time.

    Args:
        seconds: what there is.
        folds: still to be trained, with the one in work, at least 1.
        done: steps of the fold in work that are behind it.
        end: where that fold was to end; 0 for one that has not begun.

    A fold in work keeps its end, if that is no lower than the floor, while those after it can be trained for the floor;
    it goes on for longer where all can, or none can follow.

    Limits: enough time gives what was asked for. A fold in work is planned for `done` steps at least, even where
    nothing fits; a fold that has not begun and whose prediction does not fit is none: `folds` is 0.
    """
    for count in range(folds, 1, -1):
        steps = _most_steps(seconds, count, work, costs, done, end)
        if steps >= max(work.floor, end):
            return Course(count, steps)
        others = (count - 1) * seconds_of(work.floor, work, costs)
        kept = max(end, work.floor)
        if end and seconds_of(kept, work, costs, done, begun=True) + others <= seconds:
            return Course(count, kept)
    steps = _most_steps(seconds, 1, work, costs, done, end)
    return Course(1 if end or steps >= 0 else 0, max(done, steps))


def _most_steps(seconds: float, folds: int, work: Work, costs: Costs, done: int, end: int) -> int:
    """Steps, `done` or more, of each of so many folds; `done` - 1 where not even the ends of so many fit."""

    def needed(steps: int) -> float:
        return seconds_of(steps, work, costs, done, begun=end > 0) + (folds - 1) * seconds_of(steps, work, costs)

    if needed(work.asked) <= seconds:
        return work.asked
    fitting = done - 1 + bisect.bisect_right(range(done, work.asked + 1), seconds, key=needed)
    return max(work.worthwhile(fitting), min(done, fitting))


@dataclass(frozen=True)
class Pace:
    """Progress of a run of steps: a straight line that ends with 1 at `end`, however often the end was moved.

    Whatever changes on the way (learning rate, mixing, deferred losses) is a function of progress, so that it still
    ends at its end when a plan shrinks: what is left of the schedule is passed through faster.

    Limit: without a change it is step / end.
    """

    end: int
    first: int = 0
    step: int = 0  # where the plan changed last
    progress: float = 0.0  # there

    def at(self, step: int) -> float:
        """Share of the run before a step, in [0, 1]."""
        return min(1.0, self.progress + (1 - self.progress) * (step - self.step) / max(1, self.end - self.step))

    def ending(self, end: int, step: int) -> Pace:
        """From `step` on straight to another end; a later one puts progress back to what it would have been."""
        if end == self.end:
            return self
        progress = self.at(step)
        return replace(
            self,
            end=end,
            step=step,
            progress=min(progress, (step - self.first) / (end - self.first)) if end > self.end else progress,
        )

    @classmethod
    def between(cls, first: int, end: int) -> Pace:
        """Of the steps from `first` to `end`."""
        return cls(end, first, first)
