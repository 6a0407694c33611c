"""What is to be run, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from flyai_local.box import limits
from flyai_local.box.limits import Limits
from flyai_local.contest.competitions import Competition
from flyai_local.run.place import NOWHERE, Place
from flyai_local.run.score import Score
from flyai_local.states import Code, State


@dataclass(frozen=True)
class Job:
    """What to run.

    Args:
        submission: a folder or a zip file; for `evaluate` a folder that was trained.
        competition: the card of the competition.
        command: "test", "train" or "evaluate", as the records name it.
        epochs, batch: passed to main.py as -e=EPOCHS -b=BATCH.
        sample: number of training pictures and of hidden rows; None for all.
        weights: folder of pretrained files.
        fresh_env: install requirements.txt into an environment of its own.
        isolated: lock in; None where bubblewrap works.
        engine, image: path of podman or docker and an image, to lock in by these instead of bubblewrap.
        train_limits, evaluate_limits: of the two phases.
        minutes: that both phases have together; None for the limits of the phases alone.
        told_minutes: what the submission is told by FLYAI_MINUTES; None tells nothing.
    """

    submission: Path
    competition: Competition
    command: str
    epochs: int = 1
    batch: int = 32
    sample: int | None = None
    weights: Path | None = None
    fresh_env: bool = False
    isolated: bool | None = None
    train_limits: Limits = limits.TRAIN
    evaluate_limits: Limits = limits.EVALUATE
    minutes: float | None = None
    told_minutes: float | None = None
    engine: str | None = None
    image: str = ""

    def within(self, bounds: Limits, used: float = 0.0) -> Limits:
        """The limits of a phase within what is left of the minutes, `used` seconds being gone; a second at least."""
        if self.minutes is None:
            return bounds
        return replace(bounds, seconds=min(bounds.seconds, max(1.0, 60 * self.minutes - used)))


@dataclass
class Result:
    """How a run ended. `score` is None without one; `tail` holds the last lines of the log of the last phase, `place`
    the submission's innermost line in its last traceback.
    """

    run_id: int
    folder: Path
    state: State = State.QUEUED
    code: Code | None = None
    detail: str = ""
    score: Score | None = None
    seconds: float = 0.0
    peak_mb: float = 0.0
    tail: list[str] = field(default_factory=list)
    log: Path | None = None
    notes: list[str] = field(default_factory=list)
    place: Place = NOWHERE
