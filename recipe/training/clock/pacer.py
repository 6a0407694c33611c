"""Keeps a run within its time: plans each fold when it begins, watches each step, plans anew when time is short.

A plan leaves a margin. While it lasts nothing is changed; once it is used up, the rest is planned anew with a new
margin, so that the learning rate still comes down to its end. At an epoch's end a plan may grow again. Without a limit
everything is measured and nothing decided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from protocol.language import tr
from recipe.data.folds import Fold
from recipe.data.table import Table
from recipe.models.start import Start
from recipe.system.console import duration, say
from recipe.system.processes.world import ALONE, World
from recipe.system.runtime import Runtime
from recipe.training.clock.cost import Measured, expected_costs, hidden_of, time_answers
from recipe.training.clock.limit import SECONDS_BETWEEN_NOTES, Decision, TimeIsUpError, TimeLimit
from recipe.training.clock.plan import Costs, Work, plan, seconds_of

End = TypeVar("End", int, int | None)
MARGIN = 0.05  # of the time that is left, when planning
GROWTH = 0.1  # of the steps that are left, and
GROWTH_EPOCHS = 0.25  # of an epoch: a plan that would grow by less stays as it is
RENEWAL = 0.25  # of the steps behind: an end that has come is moved for no less
PREDICTION_MARGIN = 1.2  # predicting is done when nothing can be planned anew
CLOSING = 5.0  # seconds to write the scores, and for the answering process to load
FIRST_LOOK = 8  # steps of a fold after which the plan is held against the measured speed


class Pacer:
    """What the clock decides in a run.

    Args:
        expected: costs before anything was measured.
        predict: measures the seconds that the hidden pictures will take one fold, their decoding included.
        report: seconds to keep for the report; given up before a fold is shortened.
        world: the processes that train together; the first one's clock decides for all.
    """

    def __init__(
        self,
        limit: TimeLimit | None = None,
        expected: Costs | None = None,
        *,
        predict: Callable[[], float] | None = None,
        report: float = 0.0,
        say: Callable[[str], None] = say,
        world: World = ALONE,
    ) -> None:
        self.limit = limit or TimeLimit()
        self.measured = Measured(expected or Costs(0, 0, 0, 0, 0, 0))
        self.predict, self.report, self.say = predict, report, say
        self.answering = 0  # folds that will answer
        self.steps_left = 0  # of all folds, as planned
        self.seconds_left = 0.0  # until the last of them is done
        self.fold, self.work, self.folds, self._after = -1, Work(1, 0), 1, 0  # before a fold begins
        self._recorded = list(self.limit.decisions)
        if self.limit.measured:
            self.measured.load(self.limit.measured)
        self._lap = self.limit.clock()
        self.world = world
        self._limits_all = world.first(lambda: self.limit.limited)

    # How a run goes on

    def begin(self, fold: int, work: Work, folds: int) -> int | None:
        """Steps that a fold is planned for; None where it is not worth beginning.

        Args:
            folds: still to be trained, with this one.
        """
        self.fold, self.work, self.folds, self._after = fold, work, folds, folds - 1
        self._took()
        end = self._recorded_end(0)
        if end is None:
            end = self._first_plan() if self.limit.limited else work.asked
        if (end := self._of_first(end)) is not None:
            self.answering += 1
            self._expect(0, end)
        return end

    def started(self, done: int, end: int) -> None:
        """The fold is ready to go on from so many steps, towards its end."""
        self.measured.took("start", self._took())
        self._expect(done, end)

    def stepped(self, done: int, end: int, frozen: bool = False) -> int:
        """Takes note of a step; returns the steps that the fold is planned for from now on."""
        faster = self.measured.step(self._took(), frozen)
        if done == FIRST_LOOK:
            self._try_predicting()
        if self.limit.limited:
            end = self._watched(done, end, faster)
            self.note(every=SECONDS_BETWEEN_NOTES)
        end = self._of_first(end)
        self._expect(done, end)
        return end

    def validated(self, done: int, end: int) -> int:
        """Takes note of a validation; returns the steps that the fold is planned for from now on."""
        self.measured.took("validation", self._took())
        self._try_predicting()
        if (recorded := self._recorded_end(done, validated=True)) is not None:
            end = recorded
        elif self.limit.limited and not self._replays(done):
            end = self._plan_again(done, end, tr("after an epoch"), validated=True)
        end = self._of_first(end)
        self._expect(done, end)
        return end

    def finished(self) -> None:
        """Takes note of the end of a fold."""
        self.measured.took("finish", self._took())
        self.limit.kept = self._closing()
        self.note()

    def note(self, every: float = 0.0) -> None:
        """Writes down what is used and how fast the machine was, unless done within the last `every` seconds."""
        if self.limit.limited and self.limit.due(every):
            self.limit.measured = self.measured.state()
            self.limit.note()

    def check(self) -> None:
        """Nothing, until no more time is left than answering and writing the scores take.

        Raises:
            TimeIsUpError: it is so.
        """
        if self.limit.limited and self.limit.left < self._closing():
            raise TimeIsUpError(
                tr("the limit of {seconds:g} minutes leaves time for prediction only", seconds=self.limit.seconds / 60)
            )

    # What it decides

    def _first_plan(self) -> int | None:
        course = plan(self._left(begun=False, planning=True), self.folds, self.work, self._costs)
        if not course.folds or (self.answering and course.steps < self.work.floor):
            self.say(
                tr(
                    "limit    fold {fold} is not begun: {time_left} are too little for it",
                    fold=self.fold,
                    time_left=self._time_left(),
                )
            )
            return None
        asked = (self.folds, self.work.asked)
        changed = (
            ""
            if (course.folds, course.steps) == asked
            else tr(", not the {asked} x {epochs} of the settings,", asked=asked[0], epochs=self._epochs(asked[1]))
        )
        self._after = course.folds - 1
        self._decide(
            0,
            course.steps,
            False,
            tr(
                "{folds} folds x {epochs} epochs{changed} fit in",
                folds=course.folds,
                epochs=self._epochs(course.steps),
                changed=changed,
            ),
        )
        return course.steps

    def _watched(self, done: int, end: int, faster: bool) -> int:
        """The end after a step: as recorded or planned; anew after the first steps, without margin, when faster."""
        if (recorded := self._recorded_end(done)) is not None:
            return recorded
        if done < end and seconds_of(end, self.work, self._costs, done, begun=True) > self._left():
            return self._plan_again(done, end, tr("slower than planned"))
        if done < end and (faster or done == FIRST_LOOK) and not self._replays(done):
            return self._plan_again(done, end, tr("faster than before") if faster else tr("after the first steps"))
        return end

    def _plan_again(self, done: int, end: int, why: str, validated: bool = False) -> int:
        """Another end for the fold in work, if the change is worth it."""
        course = plan(self._left(planning=True), self.folds, self.work, self._costs, done, max(done, end))
        self._after = course.folds - 1
        worth = max(GROWTH * (end - done) if end > done else RENEWAL * done, GROWTH_EPOCHS * self.work.steps_per_epoch)
        goal = self.work.floor if end < self.work.floor else self.work.asked
        if end < goal <= course.steps:
            worth = 0
        if end <= course.steps <= end + worth or course.steps <= done >= end:
            return end
        change = tr(
            "{epochs} epochs instead of {planned}, and {folds} folds more fit in",
            epochs=self._epochs(course.steps),
            planned=self._epochs(end),
            folds=self._after,
        )
        self._decide(done, course.steps, validated, f"{why}, {change}")
        return course.steps

    def _decide(self, done: int, end: int, validated: bool, why: str) -> None:
        self.limit.measured = self.measured.state()
        self.limit.decide(Decision(self.fold, done, validated, end, self.limit.used, why))
        self.say(
            tr(
                "limit    fold {fold}, epoch {epochs}: {why} {time_left}",
                fold=self.fold,
                epochs=self._epochs(done),
                why=why,
                time_left=self._time_left(),
            )
        )

    def _of_first(self, end: End) -> End:
        """The first process's decision; without a limit all come to the same."""
        return self.world.gather(end)[0] if self._limits_all else end

    # What it knows

    @property
    def _costs(self) -> Costs:
        """As measured, with a margin for the prediction."""
        costs = self.measured.costs
        return replace(costs, predict=PREDICTION_MARGIN * costs.predict)

    def _left(self, begun: bool = True, planning: bool = False) -> float:
        """Seconds for what `seconds_of` counts; its count includes the prediction by the fold in work."""
        own = self._costs.predict if begun else 0.0
        left = self.limit.left - self._closing() + own
        return (left - self.report) / (1 + MARGIN) if planning else left

    def _closing(self) -> float:
        """Seconds to be left after training: the folds so far predict the hidden pictures, scores are written."""
        return CLOSING + self.answering * self._costs.predict

    def _expect(self, done: int, end: int) -> None:
        costs, steps = self._costs, max(0, end - done)
        self.steps_left = steps + self._after * end
        here, after = seconds_of(max(end, done), self.work, costs, done, begun=True), seconds_of(end, self.work, costs)
        self.seconds_left = here + self._after * after - (1 + self._after) * costs.predict

    def _recorded_end(self, done: int, validated: bool = False) -> int | None:
        """What an earlier start of the run decided at this place."""
        place = (self.fold, done, validated)
        return next(
            (past.end for past in reversed(self._recorded) if (past.fold, past.step, past.validated) == place), None
        )

    def _replays(self, done: int) -> bool:
        """Whether an earlier start of the run came further, and decided there."""
        return any(past.fold == self.fold and past.step > done for past in self._recorded)

    def _time_left(self) -> str:
        return duration(max(0.0, self.limit.left))

    def _epochs(self, steps: int) -> str:
        return f"{steps / self.work.steps_per_epoch:.3g}"

    def _try_predicting(self) -> None:
        if self.predict:
            self.measured.took("predict", self.predict())
            self._took()

    def _took(self) -> float:
        """Seconds since the last event."""
        before, self._lap = self._lap, self.limit.clock()
        return self._lap - before


def pacer_of(
    start: Start, table: Table, fold: Fold, runtime: Runtime, limit: TimeLimit, report_seconds: float = 0.0,
    networks: int = 1, world: World = ALONE,
) -> Pacer:  # fmt: skip
    """The clock of a run, with what a fold should cost; pictures are only answered on trial where there is a limit.

    Args:
        networks: that answer for each fold.
    """
    hidden = hidden_of(start.config, len(table))
    expected = expected_costs(start.config, fold, runtime, hidden)
    if not limit.limited:
        return Pacer(limit, expected, world=world)

    def predict() -> float:
        return networks * hidden * time_answers(start.model, table.paths, start.config, start.preprocessing, runtime)

    expected = replace(expected, predict=predict())
    ms = 1000 * expected.predict / hidden
    say(
        tr(
            "limit    {seconds:g} minutes, {duration} are used; {hidden} hidden pictures at {ms:.1f} ms for one fold",
            seconds=limit.seconds / 60,
            duration=duration(limit.used),
            hidden=hidden,
            ms=ms,
        )
    )
    return Pacer(limit, expected, predict=predict, report=report_seconds, world=world)
