"""The time of a run: how much there is, how much is used, what became of it (time.json in the run folder).

The clock begins with the program and counts every start of the run: one that was killed and resumed has used what it
had used.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from protocol.errors import UserError
from protocol.language import tr
from recipe.config import Config
from recipe.system.atomic import write_json
from recipe.system.console import duration

FILE = "time.json"
SECONDS_BETWEEN_NOTES = 10.0  # what a killed run may forget to have used


class TimeIsUpError(UserError):
    """The time limit has come; the message says what there is."""


@dataclass(frozen=True)
class Decision:
    """A fold was planned, or planned anew: the one thing in a run that a clock decides."""

    fold: int
    step: int  # of the fold, before which it was taken
    validated: bool  # at the end of an epoch, rather than after its last step
    end: int  # steps of the fold from here on
    used: float  # seconds of the run
    why: str


@dataclass
class TimeLimit:
    """The seconds of a run; without a limit they are infinite.

    Args:
        seconds: of all starts of the run together.
        began: this start, in seconds of `clock`.
        clock: monotonic seconds.
    """

    seconds: float = math.inf
    began: float = field(default_factory=time.monotonic)
    clock: Callable[[], float] = time.monotonic
    used_before: float = 0.0  # by earlier starts
    decisions: list[Decision] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)  # speeds, for a resumed run
    path: Path | None = None
    kept: float = 0.0  # of the seconds, for answering: nothing but that may use them
    _noted: float = 0.0

    @classmethod
    def of(cls, config: Config, began: float | None = None) -> TimeLimit:
        """The minutes of the settings, from now or from when the program began."""
        return cls(60 * config.minutes or math.inf, time.monotonic() if began is None else began)

    @property
    def used(self) -> float:
        """Seconds so far."""
        return self.used_before + self.clock() - self.began

    @property
    def left(self) -> float:
        """Seconds that are left; below 0 once the limit has passed."""
        return self.seconds - self.used

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self.seconds < math.inf

    def attach(self, folder: Path, resume: bool) -> None:
        """Keeps account in a run folder; with `resume`, goes on with the account there (and its limit, without one).

        Raises:
            TimeIsUpError: nothing is left of it.
        """
        self.path = folder / FILE
        if resume and self.path.exists():
            account = json.loads(self.path.read_text(encoding="utf-8"))
            self.used_before, self.decisions = (
                account["used"],
                [Decision(**decision) for decision in account["decisions"]],
            )
            self.measured = account["measured"]
            self.seconds = self.seconds if self.limited else (account["seconds"] or math.inf)
            if self.left <= 0:
                raise TimeIsUpError(
                    tr(
                        "the run in {folder} has used {used_before:.1f} of its {seconds:g} minutes. --minutes "
                        "counts all starts of a run: give more, for example --minutes ",
                        folder=folder,
                        used_before=self.used_before / 60,
                        seconds=self.seconds / 60,
                    )
                    + f"{math.ceil(2 * self.seconds / 60)}."
                )
        self.note()

    def check(self, doing: str) -> None:
        """Nothing, until the limit has passed.

        Raises:
            TimeIsUpError: it has.
        """
        if self.left < 0:
            raise TimeIsUpError(
                tr(
                    "--minutes {seconds:g} are over while {doing}, and nothing can answer yet. Give more minutes.",
                    seconds=self.seconds / 60,
                    doing=doing,
                )
            )

    def too_short(self, folder: Path) -> str:
        """Why a run in this folder finished no fold, and what to do."""
        why = tr(
            "--minutes {seconds:g} are too short to finish training a network ({duration} are used). ",
            seconds=self.seconds / 60,
            duration=duration(self.used),
        )
        if any(folder.glob("fold*/fold.json")):
            return why + tr(
                "What was trained answers all the same: {folder}. Go on with --resume and more --minutes.",
                folder=folder,
            )
        return why + tr("Give more minutes, or lower --image-size or --hidden-pictures.")

    def decide(self, decision: Decision) -> None:
        """Writes a decision down."""
        self.decisions.append(decision)
        self.note()

    def due(self, every: float) -> bool:
        """Whether `every` seconds are used since the last note."""
        return self.used - self._noted >= every

    def note(self) -> None:
        """Writes down what is used and decided."""
        if self.path is None or not self.limited:
            return
        self._noted = self.used
        decisions = [asdict(decision) for decision in self.decisions]
        write_json(
            self.path, {"seconds": self.seconds, "used": self._noted, "decisions": decisions, "measured": self.measured}
        )
