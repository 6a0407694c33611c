"""What a fold's state is made of: all that changes while it trains, so that a resumed fold ends bit for bit where it
would have.

Order, augmentation, mixing and dropout are functions of (seed, fold, epoch, step) and need no state of a random
generator.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from recipe.errors import DamagedError
from recipe.runs.checkpoint import read_checkpoint
from recipe.runs.results import EpochLog
from recipe.system.out_of_memory import recompute
from recipe.training.clock.plan import Pace
from recipe.training.run import Best
from recipe.training.state_file import State
from recipe.training.step.recovery import Recovery

if TYPE_CHECKING:
    from recipe.training.fold import FoldTraining


@dataclasses.dataclass
class Position:
    """How far the epoch in work has come."""

    step: int = 0  # finished batches
    lr: float = 0.0  # base rate of the last of them
    seconds: float = 0.0  # spent on them
    losses: list[float] = dataclasses.field(default_factory=list)  # of the steps that were taken


def state_of(fold: FoldTraining) -> State:
    """Everything that a resumed fold needs."""
    schedule = fold.stage.plain_schedule
    return {
        "run": fold.run.number,
        "fold": fold.fold.index,
        "epoch": fold.epoch,
        "seconds": fold.seconds,
        "position": dataclasses.asdict(fold.position),
        "best": dataclasses.asdict(fold.validation.best),
        "logs": [dataclasses.asdict(log) for log in fold.logs],
        "model": dict(fold.model.state_dict()),
        "optimizer": fold.stage.optimizer.state_dict(),
        "ema": fold.ema and {"model": dict(fold.ema.model.state_dict()), "steps": fold.ema.steps},
        "schedule": schedule.state_dict() if hasattr(schedule, "state_dict") else None,
        "scale": fold.update.scale and dataclasses.asdict(fold.update.scale),
        "micro_batch": fold.runtime.micro_batch,
        "recomputes": fold.runtime.recomputes,
        "recovery": dataclasses.asdict(fold.recovery),
        "pace": dataclasses.asdict(fold.pace),
        "frozen_steps": fold.frozen_steps,
        "stage": {"pace": dataclasses.asdict(fold.stage.pace), "planned": fold.stage.planned},
    }


def check_state(fold: FoldTraining, state: State) -> None:
    """Refuses a whole state that belongs elsewhere.

    Raises:
        DamagedError: it is of another run, another fold or another network.
    """
    there, here = (state.get("run"), state.get("fold")), (fold.run.number, fold.fold.index)
    if there != here:
        raise DamagedError(
            f"the state in {fold.folder / 'last'} belongs to fold {there[1]} of the run {there[0]}, and this is "
            f"fold {here[1]} of {here[0]}"
        )
    own = {name: tuple(tensor.shape) for name, tensor in fold.model.state_dict().items()}
    if own != {name: tuple(tensor.shape) for name, tensor in state["model"].items()}:
        raise DamagedError(f"the state in {fold.folder / 'last'} is that of another network")
    _best_kept(fold, Best(**state["best"]))


def _best_kept(fold: FoldTraining, known: Best) -> Best:
    """The best so far. The checkpoint may be younger than the state: then it counts, and the steps that lead to it are
    repeated.

    Raises:
        DamagedError: the checkpoint that the state relies on is damaged or gone.
    """
    if known.epoch < 0:
        return known
    description = read_checkpoint(fold.folder)[1]
    kept = Best(description.score or 0.0, description.loss or 0.0, description.epoch)
    if kept != known and not known.beaten_by(kept.score, kept.loss, fold.validation.metric.higher_is_better):
        raise DamagedError(
            f"the checkpoint in {fold.folder} is of epoch {kept.epoch}, and the state relies on that of epoch "
            f"{known.epoch}"
        )
    return kept


def restore(fold: FoldTraining, state: State) -> None:
    """Puts a fold where `state_of` was taken."""
    fold.epoch, fold.seconds, fold.validation.best = (
        state["epoch"],
        state["seconds"],
        _best_kept(fold, Best(**state["best"])),
    )
    fold.position, fold.logs = Position(**state["position"]), [EpochLog(**log) for log in state["logs"]]
    fold.runtime.micro_batch, fold.recovery = state["micro_batch"], Recovery(**state["recovery"])
    fold.runtime.precision = fold.recovery.precision or fold.runtime.precision
    if state["recomputes"]:
        recompute(fold.model, fold.runtime)
    fold.model.load_state_dict(state["model"])
    fold.pace, fold.frozen_steps = Pace(**state["pace"]), state["frozen_steps"]
    fold.enter_stage(fold.epoch + 1 if fold.position.step else max(1, fold.epoch), state["stage"]["planned"])
    fold.stage.pace = Pace(**state["stage"]["pace"])
    fold.stage.optimizer.load_state_dict(state["optimizer"])
    if fold.ema is not None:
        fold.ema.model.load_state_dict(state["ema"]["model"])
        fold.ema.steps = state["ema"]["steps"]
    if state["schedule"] is not None:
        fold.stage.plain_schedule.load_state_dict(state["schedule"])
    if fold.update.scale is not None:
        _set(fold.update.scale, state["scale"])


def _set(target: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(target, name, value)
