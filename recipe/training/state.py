"""What a fold's state is made of, for `fold.FoldTraining` to save and to take up: all that changes while it trains, so
that a resumed fold ends bit for bit where it would have.

Order, augmentation, mixing and dropout are functions of (seed, fold, epoch, step) and need no state of a random
generator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from protocol.language import tr
from recipe.runs.checkpoint import read_checkpoint
from recipe.runs.results import EpochLog
from recipe.system.atomic import DamagedError
from recipe.training.clock.plan import Pace, Work
from recipe.training.run import Best
from recipe.training.state_file import SavedState
from recipe.training.step.average import ExponentialMovingAverage
from recipe.training.step.recovery import Recovery


@dataclass
class Position:
    """How far the epoch in work has come."""

    step: int = 0  # finished batches
    lr: float = 0.0  # base rate of the last of them
    seconds: float = 0.0  # spent on them
    losses: list[float] = field(default_factory=list)  # of the steps that were taken


@dataclass
class StagePosition:
    """Where the stage in work stands."""

    pace: Pace
    planned: int  # steps it was entered for


@dataclass
class FoldState:
    """Everything of a fold that changes, but for the tensors: plain values, in a file by these very names."""

    run: str  # the number of the run
    fold: int
    pace: Pace
    frozen_steps: int  # the first ones, which train the head alone
    stage: StagePosition
    epoch: int = 0  # finished ones
    seconds: float = 0.0  # spent on them
    position: Position = field(default_factory=Position)
    best: Best = field(default_factory=Best)
    logs: list[EpochLog] = field(default_factory=list)  # of the finished epochs
    micro_batch: int = 0
    recomputes: bool = False  # activations, to save memory
    recovery: Recovery = field(default_factory=Recovery)

    def end_at(self, end: int, step: int, work: Work, frozen: bool) -> int:
        """From `step` on towards another end: progress, and with it all that depends on it, still reaches 1 there.

        Args:
            frozen: the head alone learns at this step; then the rest of its stage changes in proportion.

        Returns:
            The end of the stage in work.
        """
        self.pace = self.pace.ending(end, step)
        if not frozen:
            return end
        whole_epochs = -(-step // work.steps_per_epoch) * work.steps_per_epoch
        self.frozen_steps = max(whole_epochs, min(self.frozen_steps, work.frozen_of(end)))
        return min(self.frozen_steps, end)

    @classmethod
    def of(cls, state: SavedState) -> FoldState:
        """The plain part of a state that was read from its file.

        Raises:
            DamagedError: something is missing, or is of another version.
        """
        try:
            return cls._of(state)
        except (KeyError, TypeError, AttributeError) as error:
            raise DamagedError(tr("the state lacks what a fold goes on with ({error})", error=error)) from None

    @classmethod
    def _of(cls, state: SavedState) -> FoldState:
        values = {each.name: state[each.name] for each in dataclasses.fields(cls)}
        stage = StagePosition(Pace(**state["stage"]["pace"]), state["stage"]["planned"])
        logs = [EpochLog(**log) for log in state["logs"]]
        values |= {"pace": Pace(**state["pace"]), "stage": stage, "position": Position(**state["position"])}
        values |= {"best": Best(**state["best"]), "logs": logs, "recovery": Recovery(**state["recovery"])}
        return cls(**values)


@dataclass
class Parts:
    """What of a fold keeps a state of its own."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    ema: ExponentialMovingAverage | None
    schedule: Any  # one that observes has a state
    scale: Any  # of the loss, in fp16

    def saved(self) -> SavedState:
        """Their states, by name."""
        return {
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema and {"model": dict(self.ema.model.state_dict()), "steps": self.ema.steps},
            "schedule": self.schedule.state_dict() if hasattr(self.schedule, "state_dict") else None,
            "scale": self.scale and dataclasses.asdict(self.scale),
        }

    def load(self, state: SavedState) -> None:
        """Takes up what `saved` gave, but for the model: optimizer and schedule are made for one with its weights."""
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.model.load_state_dict(state["ema"]["model"])
            self.ema.steps = state["ema"]["steps"]
        if state["schedule"] is not None:
            self.schedule.load_state_dict(state["schedule"])
        if self.scale is not None:
            for name, value in state["scale"].items():
                setattr(self.scale, name, value)


def packed(state: FoldState, parts: Parts) -> SavedState:
    """Everything that a resumed fold needs."""
    return dataclasses.asdict(state) | parts.saved()


def check_state(state: SavedState, run: str, fold: int, folder: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Refuses a whole state that belongs elsewhere.

    Args:
        run: the number of the run that wants to go on, of this `fold`, in this `folder`.
        weights: of its network.

    Raises:
        DamagedError: it is of another run, another fold or another network.
    """
    there, here = (state.get("run"), state.get("fold")), (run, fold)
    if there != here:
        raise DamagedError(
            tr(
                "the state in {folder} belongs to fold {its_fold} of the run {its_run}, and this is fold "
                "{fold} of {run}",
                folder=folder / "last",
                its_fold=there[1],
                its_run=there[0],
                fold=here[1],
                run=here[0],
            )
        )
    own = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if own != {name: tuple(tensor.shape) for name, tensor in state["model"].items()}:
        raise DamagedError(tr("the state in {folder} is that of another network", folder=folder / "last"))


def best_kept(known: Best, folder: Path, higher_is_better: bool) -> Best:
    """The best so far. A checkpoint younger than the state counts, and the steps that led to it are repeated.

    Args:
        known: to the state.
        folder: of the fold, with the checkpoint.

    Raises:
        DamagedError: the checkpoint that the state relies on is damaged or gone.
    """
    if known.epoch < 0:
        return known
    description = read_checkpoint(folder)[1]
    kept = Best(description.score or 0.0, description.loss or 0.0, description.epoch)
    if kept != known and not known.beaten_by(kept.score, kept.loss, higher_is_better):
        raise DamagedError(
            tr(
                "the checkpoint in {folder} is of epoch {epoch}, and the state relies on that of epoch {expected}",
                folder=folder,
                epoch=kept.epoch,
                expected=known.epoch,
            )
        )
    return kept
