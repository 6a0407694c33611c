"""Training of one fold: its epochs, and the state to go on from. Its steps: steps.py; how it is judged: validation.py.

A fold is a pure task: a run (settings, table, pictures, machine) and a fold give a FoldResult. Order, augmentation,
mixing and dropout depend on (seed, fold, epoch, step) alone, so a resumed fold needs no state of a random generator.
"""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np

from protocol.language import tr
from recipe.data.batch import Batch
from recipe.data.folds import Fold
from recipe.runs.checkpoint import read_checkpoint, save_snapshot
from recipe.runs.results import EpochLog, FoldResult, save_result
from recipe.system.console import say
from recipe.system.disk import RoomWatch
from recipe.system.out_of_memory import recompute
from recipe.system.processes.world import LostProcess, elsewhere
from recipe.system.stopping import Stopped
from recipe.training.clock.limit import TimeIsUpError
from recipe.training.prefetch import on_device
from recipe.training.run import Best, Run
from recipe.training.start import start_head
from recipe.training.state import FoldState, Parts, Position, StagePosition, best_kept, check_state, packed
from recipe.training.state_file import SavedState, SaveRhythm, newest_state, write_state
from recipe.training.step.average import ExponentialMovingAverage
from recipe.training.step.recovery import NumbersError
from recipe.training.step.update import NonFiniteLossError, training_mode
from recipe.training.steps import FoldSteps
from recipe.training.validation import Validation


class FoldTraining(FoldSteps):
    """One fold in training; between any two steps it can be saved and taken up again."""

    def __init__(self, run: Run, fold: Fold, end: int | None = None) -> None:
        """`end` is the number of steps that it is planned for; by default those of the settings."""
        super().__init__(run, fold, end)
        self.folder = run.folder / f"fold{fold.index}"
        self.validation = Validation(run, fold, self.folder, self.runtime)
        self._last_validation = 0.0  # seconds
        self.rhythm = SaveRhythm(self.config.save_seconds, self.config.save_steps, say)
        self.room = RoomWatch(self.folder, say)

    def complete(self) -> FoldResult:
        """Trains from where the fold stands to the last epoch; asked to stop, it saves its state first.

        Raises:
            Stopped: after a signal.
        """
        try:
            self._consider_probe()
            while self.state.epoch * len(self.loader) < self.state.pace.end and not self._out_of_patience():
                self._train_and_validate(self.state.epoch + 1)
            if self.validation.best.epoch < 0:
                self.validation.judge(0, self.candidates())
        except (Stopped, NumbersError, LostProcess) as error:
            self.save()
            raise (error if self.run.world.is_first else elsewhere(error)) from None
        except TimeIsUpError as reason:
            return self._cut_short(reason)
        self._save_if_due(self._last_validation)
        return self._finish()

    def _out_of_patience(self) -> bool:
        patience = self.config.patience
        return bool(patience) and self.state.epoch - max(self.validation.best.epoch, 0) >= patience

    def _consider_probe(self) -> None:
        """Epoch 0 is the probe: the network never ends below it on the validation rows. Where it is the floor alone,
        the head then starts at random.
        """
        if self.probe_probs is None or self.state.epoch or self.state.position.step:
            return
        self.validation.offer(0, self.probe_probs, self.model)
        if self.config.head_init == "floor" and self.config.epochs:
            start_head(self.model, self.seed)
            if self.ema is not None:
                self.ema = ExponentialMovingAverage(self.model, self.config.ema_decay)

    def _train_and_validate(self, epoch: int) -> None:
        """One epoch, or what is left of it."""
        if self.stage.frozen and (epoch - 1) * len(self.loader) >= self.state.frozen_steps:
            self.enter_stage(epoch)
        self._train(epoch)
        self._save_if_due(self._last_validation)
        begin = time.perf_counter()
        score, loss, average = self.validation.judge(epoch, self.candidates())
        self._last_validation = time.perf_counter() - begin
        if hasattr(self.stage.plain_schedule, "observe"):
            self.stage.plain_schedule.observe(loss)
        self._close_epoch(epoch, score, loss, average)

    def _train(self, epoch: int) -> None:
        """The steps of an epoch, from the position on."""
        training_mode(self.model, self.config.freezes_batch_norm or self.stage.frozen)
        # Share of the fold; the margin is for rounding.
        mixed = 1 - self.config.mix_off_epochs / max(1, self.config.epochs) - 1e-9
        first, begin = (epoch - 1) * len(self.loader), time.perf_counter() - self.state.position.seconds
        loader = self.loader if self.features is None else self.loader.without_pictures()
        for batch in on_device(loader.epoch(epoch, self.state.position.step), self.runtime.device):
            step = first + self.state.position.step
            if step >= self.state.pace.end:
                break
            self.state.position.lr = self.stage.set_lr(step, self.state.recovery.rate)
            self.objective.progress = self.state.pace.at(step)
            began = time.perf_counter()
            self._step_or_skip(batch, step, mixes=self.objective.progress < mixed)
            self.run.threads.stepped(time.perf_counter() - began)
            self.state.position.step, self.state.position.seconds = (
                self.state.position.step + 1,
                time.perf_counter() - begin,
            )
            self._after_step(step + 1, epoch)

    def _after_step(self, steps: int, epoch: int) -> None:
        """What is kept on the way, after so many steps of the run."""
        if self.config.snapshot_steps and self.run.world.is_first and steps % self.config.snapshot_steps == 0:
            save_snapshot(self.folder, self.model.state_dict(), steps, self.config.snapshot_keep)
        self._end_at(self.run.pacer.stepped(steps, self.state.pace.end, self.stage.frozen), steps)
        self.run.progress.stepped(
            1,
            tr(
                "fold {index} epoch {epoch}/{end}",
                index=self.fold.index,
                epoch=epoch,
                end=-(-self.state.pace.end // len(self.loader)),
            ),
        )
        self.run.progress.check_stop()
        self.rhythm.stepped()
        self._save_if_due()

    def _end_at(self, end: int, step: int) -> None:
        """From `step` on towards another end."""
        if end != self.state.pace.end:
            stage_end = self.state.end_at(end, step, self.work, self.stage.frozen)
            self.stage.pace = self.stage.pace.ending(stage_end, step)

    def _close_epoch(self, epoch: int, score: float, loss: float, average: bool) -> None:
        """The epoch is finished: its line in the log, and a new position."""
        done, self.state.position, self.state.epoch = self.state.position, Position(), epoch
        rate = done.step * self.config.batch_size / done.seconds
        seconds = done.seconds + self._last_validation
        self.state.seconds += seconds
        train_loss = float(np.mean(done.losses)) if done.losses else math.nan
        log = EpochLog(self.fold.index, epoch, done.lr, train_loss, loss, score, average, rate, seconds)
        self.state.logs.append(log)
        steps = epoch * len(self.loader)
        self._end_at(self.run.pacer.validated(steps, self.state.pace.end), steps)
        self._save_if_due()
        self.run.progress.epoch(log)

    def _step_or_skip(self, batch: Batch, step: int, mixes: bool) -> None:
        """Takes the step, or passes over it where its numbers are none."""
        try:
            self.state.position.losses.append(self.take(batch, step, mixes))
        except NonFiniteLossError as error:
            done = self.state.recovery.failed(error, self.runtime, self.run.table.names)
            say(tr("fold {index}, step {step}: {done}", index=self.fold.index, step=step + 1, done=done))
            if self.runtime.precision != "fp16":
                self.update.scale = None
        else:
            self.state.recovery.passed()

    def _finish(self) -> FoldResult:
        """Out-of-fold probabilities of the kept checkpoint, without and with the views, as the fold's result."""
        if self.run.world.is_first:
            self.model.load_state_dict(read_checkpoint(self.folder)[0])
        self.run.world.share(list(self.model.state_dict().values()))
        probs, view_probs = self.validation.out_of_fold(self.model)
        self.run.pacer.finished()
        return self._result(probs, view_probs)

    def _cut_short(self, reason: TimeIsUpError) -> FoldResult:
        """The time ended within a validation: the best epoch before it stands.

        Raises:
            TimeIsUpError: there was none; the weights as they are will answer, and the state is kept to go on from.
        """
        if (probs := self.validation.best_probs) is not None:
            return self._result(probs, probs)
        if not (self.folder / "fold.json").exists():
            self.validation.keep_unjudged(self.state.epoch + 1, self.model)
        self.save()
        raise reason

    def _result(self, probs: np.ndarray, view_probs: np.ndarray) -> FoldResult:
        probe_score = None if self.probe_probs is None else self.validation.score(self.probe_probs)
        result = FoldResult(
            self.fold.index, self.validation.score(probs), probe_score, self.validation.best.epoch,
            self.state.seconds, probs, view_probs, self.probe_probs, tuple(self.state.logs),
        )  # fmt: skip
        if self.run.world.is_first:
            save_result(self.folder, result)
        return result

    def _save_if_due(self, coming: float = 0.0) -> None:
        if self.run.world.is_first and self.rhythm.due(coming):
            self.save()

    def save(self) -> None:
        """Writes the state of this very moment; of several processes, the first has the pen.

        Raises:
            CheckpointError: it cannot be written; the earlier states are still there.
        """
        if not self.run.world.is_first:
            return
        begin = time.perf_counter()
        state = packed(self._moment(), self._parts())
        path = write_state(self.folder / "last", state, self.state.epoch, self.state.position.step)
        self.room.saved(path.stat().st_size)
        self.rhythm.saved(time.perf_counter() - begin)

    def _moment(self) -> FoldState:
        """The state, with what others keep of it."""
        stage = StagePosition(self.stage.pace, self.stage.planned)
        return dataclasses.replace(
            self.state, best=self.validation.best, stage=stage, micro_batch=self.runtime.micro_batch,
            recomputes=self.runtime.recomputes,
        )  # fmt: skip

    def _parts(self) -> Parts:
        return Parts(self.model, self.stage.optimizer, self.ema, self.stage.plain_schedule, self.update.scale)

    def resume(self) -> bool:
        """Takes up the newest state that is whole; False where there is none, and the fold begins anew.

        Raises:
            CheckpointError: an earlier version of this project saved the state.
        """
        saved, reasons = self.run.world.first(lambda: newest_state(self.folder / "last", self._check))
        for reason in reasons:
            then = tr("the state before it is used") if saved else tr("no other is left, the fold begins anew")
            say(tr("fold {index}: {reason}; {then}", index=self.fold.index, reason=reason, then=then))
        if saved is not None:
            self._take_up(saved)
        return saved is not None

    def _check(self, saved: SavedState) -> None:
        check_state(saved, self.run.number, self.fold.index, self.folder, self.model.state_dict())
        self._best(FoldState.of(saved))

    def _best(self, state: FoldState) -> Best:
        return best_kept(state.best, self.folder, self.validation.metric.higher_is_better)

    def _take_up(self, saved: SavedState) -> None:
        """Puts the fold where a state was saved."""
        self.state = state = FoldState.of(saved)
        self.validation.best = self.run.world.first(lambda: self._best(state))
        self.runtime.micro_batch = state.micro_batch
        self.runtime.precision = state.recovery.precision or self.runtime.precision
        if state.recomputes:
            recompute(self.model, self.runtime)
        self.model.load_state_dict(saved["model"])
        self.enter_stage(state.epoch + 1 if state.position.step else max(1, state.epoch), state.stage.planned)
        self.stage.pace = state.stage.pace
        self._parts().load(saved)
