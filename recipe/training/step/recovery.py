"""What happens when a loss or a gradient is infinite or not a number.

The step is skipped: weights, moments, moving average and BatchNorm statistics stay as they were. After MEASURE such
steps in a row the precision is raised to float32 where it was lower, and otherwise the learning rate is halved for the
rest of the fold; after STOP in a row the run ends with the pictures named. Count, rate and precision belong to the
state, so a resumed run goes the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.errors import UserError
from protocol.language import tr
from recipe.system.runtime import Runtime
from recipe.training.step.update import NonFiniteLossError

MEASURE, STOP = 3, 12  # steps in a row


class NumbersError(UserError, RuntimeError):
    """The numbers do not recover; the state holds the last good weights."""


@dataclass
class Recovery:
    """Skipped steps and what was done about them."""

    skipped: int = 0
    in_a_row: int = 0
    rate: float = 1.0  # factor on the learning rate
    precision: str = ""  # raised to this; empty while it is that of the machine
    rows: list[int] = field(default_factory=list)  # table rows of the last bad steps

    def passed(self) -> None:
        """A good step."""
        self.in_a_row, self.rows = 0, []

    def failed(self, error: NonFiniteLossError, runtime: Runtime, names: Sequence[str]) -> str:
        """A bad step: takes a measure where it is time; returns what to say.

        Raises:
            NumbersError: too many in a row. The count is back at 0, so that a resumed run tries the steps that follow.
        """
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        self.rows = (self.rows + error.rows)[-64:]
        if self.in_a_row >= STOP:
            listed = ", ".join(dict.fromkeys(names[row] for row in self.rows[-16:]))
            self.passed()
            raise NumbersError(
                tr(
                    "in {stop} steps in a row {what}, in spite of {measures}; the last were on {listed}. The "
                    "state before them is saved. Look at these pictures, lower --lr or set --clip-grad 1, "
                    "then go on with --resume-anyway.",
                    stop=STOP,
                    what=error.what,
                    measures=self._measures(),
                    listed=listed,
                )
            )
        done = self._measure(runtime) if self.in_a_row % MEASURE == 0 else ""
        return tr(
            "{what}: the step is skipped, {skipped} in all{done}", what=error.what, skipped=self.skipped, done=done
        )

    def _measure(self, runtime: Runtime) -> str:
        if runtime.precision != "float32":
            runtime.precision = self.precision = "float32"
            return tr("; from here on in float32")
        self.rate /= 2
        return tr("; from here on at {rate:g} of the learning rate", rate=self.rate)

    def _measures(self) -> str:
        return tr("{rate:g} of the learning rate", rate=self.rate) + (
            tr(" and {precision}", precision=self.precision) if self.precision else ""
        )
