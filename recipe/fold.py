"""Training of one fold: epochs, validation, the best checkpoint, and the state to go on from.

A fold is a pure task: a job (settings, table, pictures, machine) and a fold give a FoldResult. Order, augmentation, mixing and dropout
depend on (seed, fold, epoch, step) alone, so a resumed fold needs no state of a random generator.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from recipe.atomic import write_bytes
from recipe.augment import Augment
from recipe.augment_views import AugmentViews
from recipe.batch import Batch
from recipe.checkpoint import Description, read_description, save_checkpoint, save_snapshot
from recipe.ema import ExponentialMovingAverage
from recipe.engine import Update, training_mode
from recipe.errors import CheckpointError
from recipe.folds import Fold
from recipe.job import Best, Job
from recipe.loader import Loader
from recipe.metrics import METRICS, log_loss
from recipe.mix import MIXES
from recipe.models import Classifier
from recipe.objective import Objective
from recipe.predict import average_views
from recipe.probe import Probe, fit_probe, frozen_features
from recipe.results import EpochLog, FoldResult, load_result, save_result
from recipe.sampler import SAMPLERS
from recipe.stages import stage_of
from recipe.teacher import build_teacher
from recipe.views import build_views


class FoldTraining:
    """The state of one fold between epochs."""

    def __init__(self, job: Job, fold: Fold) -> None:
        self.job, self.fold, self.config = job, fold, job.config
        self.folder = job.folder / f"fold{fold.index}"
        self.labels = job.table.labels[fold.valid_rows]
        self.metric: Any = METRICS[job.metric]
        self.seed = int(np.random.SeedSequence([self.config.seed, fold.index]).generate_state(1)[0])
        self.model = self._start()
        self.probe = self._probe()
        self.ema = ExponentialMovingAverage(self.model, self.config.ema_decay) if self.config.ema_decay else None
        self.loader = self._loader()
        self.mix = MIXES.build(self.config.mix)
        self.teacher = build_teacher(self.config, job.table, fold, job.preprocessing, job.runtime)
        self.objective = Objective(self.config, torch.from_numpy(self._counts()).to(job.runtime.device), self.model.parameters())
        self.enter_stage(1)
        self.epoch, self.best, self.seconds = 0, Best(), 0.0

    def enter_stage(self, epoch: int) -> None:
        """Optimizer and schedule of the stage that an epoch belongs to."""
        self.stage = stage_of(epoch, self.model, self.config, len(self.loader))
        self.features = self._frozen_features()
        network = self.model if self.features is None else self.model.head
        self.update = Update(network, self.stage.optimizer, self.objective, self.job.runtime, self.config.clip_grad)

    def _frozen_features(self) -> torch.Tensor | None:
        """What the head takes, for every training row, where the backbone is frozen and no augmentation changes the pictures."""
        plain = not self.config.augment.strip() and self.config.mix == "none()" and not self.config.consistency
        if not (self.stage.frozen and plain) or self.teacher is not None:
            return None
        rows = self.fold.train_rows
        found = frozen_features(
            self.model, (self.loader.transform(self.job.pictures[row], 0) for row in rows), self.job.preprocessing, self.job.runtime
        )
        features = torch.zeros(len(self.job.table), *found.shape[1:], device=self.job.runtime.device)
        features[torch.from_numpy(rows).to(features.device)] = found
        return features

    def _start(self) -> Classifier:
        """A copy of the job's model whose head starts from this fold's seed."""
        torch.manual_seed(self.seed)
        model = copy_of(self.job.model)
        for layer in model.head.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()  # type: ignore[operator]
        return model.to(self.job.runtime.device, memory_format=self.job.runtime.memory_format)  # type: ignore[call-overload]

    def _probe(self) -> Probe | None:
        """The probe of this fold, already in the head."""
        if self.job.features is None:
            return None
        rows = self.fold.train_rows
        probe = fit_probe(self.job.features[rows], self.job.table.labels[rows], len(self.job.table.classes), self.config.probe_c)
        assert isinstance(self.model.head.classifier, nn.Linear)  # held by cross_validate, which makes the features
        probe.start(self.model.head.classifier)
        return probe

    def _counts(self) -> np.ndarray:
        return np.bincount(self.job.table.labels[self.fold.train_rows], minlength=len(self.job.table.classes)).astype(np.float32)

    def _loader(self) -> Loader:
        rows = self.fold.train_rows
        augment = AugmentViews if self.config.consistency else Augment
        transform = augment(self.config.augment, self.config.image_size, self.job.preprocessing.crop_pct)
        weights = SAMPLERS.build(self.config.sampler, self.job.table.labels[rows])
        return Loader(self.job.pictures, self.job.table.labels, rows, self.config.batch_size, transform, seed=self.seed,
                      weights=weights, workers=self.config.workers)  # fmt: skip

    def run(self) -> FoldResult:
        """Trains from where the state stands to the last epoch."""
        self._consider_probe()
        while self.epoch < self.config.epochs and not self._out_of_patience():
            self._train_and_validate(self.epoch + 1)
            self._save_state()
        if self.best.epoch < 0:
            self._validate(0)
        return self._finish()

    def _out_of_patience(self) -> bool:
        return bool(self.config.patience) and self.epoch - max(self.best.epoch, 0) >= self.config.patience

    def _consider_probe(self) -> None:
        """Epoch 0 is the probe: the network never ends below it on the validation rows."""
        if self.probe is not None and self.epoch == 0:
            probs = self._probe_probs()
            self._offer(0, self.metric(self.labels, probs), log_loss(self.labels, probs), self.model, average=False)

    def _probe_probs(self) -> np.ndarray:
        assert self.probe is not None and self.job.features is not None
        return self.probe.probs(self.job.features[self.fold.valid_rows])

    def _train_and_validate(self, epoch: int) -> None:
        begin = time.perf_counter()
        if epoch == self.stage.last + 1:
            self.enter_stage(epoch)
        train_loss, lr = self._train(epoch)
        rate = len(self.loader) * self.config.batch_size / (time.perf_counter() - begin)
        score, loss, average = self._validate(epoch)
        self.epoch = epoch
        self.seconds += (seconds := time.perf_counter() - begin)
        if hasattr(self.stage.plain_schedule, "observe"):
            self.stage.plain_schedule.observe(loss)
        self.job.on_epoch(EpochLog(self.fold.index, epoch, lr, train_loss, loss, score, average, rate, seconds))

    def _train(self, epoch: int) -> tuple[float, float]:
        """One pass over the training rows; the mean loss per step, and the base rate of the last step."""
        training_mode(self.model, self.config.freezes_batch_norm or self.stage.frozen)
        mixes = epoch <= self.config.epochs - self.config.mix_off_epochs
        losses, lr = [], 0.0
        for step, batch in enumerate(self.loader.epoch(epoch), start=(epoch - 1) * len(self.loader)):
            lr = self.stage.set_lr(step)
            self.objective.progress = step / (len(self.loader) * self.config.epochs)
            losses.append(self._step(batch, step, mixes))
            if self.config.snapshot_steps and (step + 1) % self.config.snapshot_steps == 0:
                save_snapshot(self.folder, self.model.state_dict(), step + 1, self.config.snapshot_keep)
            self.job.on_step(1, f"fold {self.fold.index} epoch {epoch}/{self.config.epochs}")
        return float(np.mean(losses)), lr

    def _step(self, batch: Batch, step: int, mixes: bool) -> float:
        seed = int(np.random.SeedSequence([self.seed, step]).generate_state(1)[0])
        batch = batch.to(self.job.runtime.device)
        images = self.job.preprocessing.normalise(batch.images) if self.features is None else self.features[batch.rows]
        batch = dataclasses.replace(batch, images=images)
        if mixes:
            batch = self.mix(batch, torch.Generator().manual_seed(seed))
        if self.teacher is not None:
            batch = dataclasses.replace(batch, teacher_probs=self.teacher(batch))
        loss = self.update.step(batch, step, seed)
        if self.ema is not None:
            self.ema.update(self.model)
        return loss

    def _validate(self, epoch: int) -> tuple[float, float, bool]:
        """Score and loss of the better of the weights and their moving average, offered as the best so far."""
        candidates = [(self._probs(model), model, average) for model, average in self._candidates()]
        scored = [(self.metric(self.labels, probs), log_loss(self.labels, probs), model, average) for probs, model, average in candidates]
        sign = 1 if self.metric.higher_is_better else -1
        score, loss, model, average = max(scored, key=lambda item: (sign * item[0], -item[1]))
        self._offer(epoch, score, loss, model, average)
        return score, loss, average

    def _candidates(self) -> list[tuple[nn.Module, bool]]:
        return [(self.model, False)] + ([(self.ema.model, True)] if self.ema is not None else [])

    def _probs(self, model: nn.Module, views: str = "identity()") -> np.ndarray:
        pictures = (self.job.pictures[row] for row in self.fold.valid_rows)
        listed = build_views(views, self.job.preprocessing.size)
        return np.stack(list(average_views([model], pictures, listed, self.job.preprocessing, self.job.runtime)))

    def _offer(self, epoch: int, score: float, loss: float, model: nn.Module, average: bool) -> None:
        """Keeps the checkpoint if it is the best so far."""
        if self.best.beaten_by(score, loss, self.metric.higher_is_better):
            self.best = Best(score, loss, epoch)
            counts = self._counts()
            description = Description(self.config, self.job.table.values, tuple((counts / counts.sum()).tolist()), self.job.preprocessing,
                                      self.fold.index, epoch, score, average)  # fmt: skip
            save_checkpoint(self.folder, model.state_dict(), description)

    def _finish(self) -> FoldResult:
        """Out-of-fold probabilities of the kept checkpoint, without and with the views; written as the fold's result."""
        from safetensors.torch import load_file

        self.model.load_state_dict(load_file(self.folder / "model.safetensors"))
        probs = self._probs(self.model)
        view_probs = probs if self.config.views == "identity()" else self._probs(self.model, self.config.views)
        probe_probs = self._probe_probs() if self.probe is not None else None
        probe_score = None if probe_probs is None else self.metric(self.labels, probe_probs)
        score = self.metric(self.labels, probs)
        result = FoldResult(self.fold.index, score, probe_score, self.best.epoch, self.seconds, probs, view_probs, probe_probs)
        save_result(self.folder, result)
        return result

    def _save_state(self) -> None:
        """Everything a resumed fold needs, in one file."""
        state = {
            "epoch": self.epoch, "seconds": self.seconds, "best": dataclasses.asdict(self.best),
            "model": self.model.state_dict(), "optimizer": self.stage.optimizer.state_dict(),
            "ema": self.ema and {"model": self.ema.model.state_dict(), "steps": self.ema.steps},
            "schedule": self.stage.plain_schedule.state_dict() if hasattr(self.stage.plain_schedule, "state_dict") else None,
            "scale": self.update.scale and dataclasses.asdict(self.update.scale),
        }  # fmt: skip
        stream = io.BytesIO()
        torch.save(state, stream)
        write_bytes(self.folder / "last" / "state.pt", stream.getvalue())

    def resume(self) -> bool:
        """Takes up the saved state; False where the fold has none.

        Raises:
            CheckpointError: the state is broken.
        """
        path = self.folder / "last" / "state.pt"
        if not path.exists():
            return False
        try:
            state = torch.load(path, map_location=self.job.runtime.device, weights_only=True)
        except Exception as error:
            raise CheckpointError(
                f"{path} is broken ({type(error).__name__}); delete {path.parent.parent} to train this fold anew."
            ) from error
        self.epoch, self.seconds, self.best = state["epoch"], state["seconds"], Best(**state["best"])
        self.model.load_state_dict(state["model"])
        self.enter_stage(max(1, self.epoch))
        self.stage.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.model.load_state_dict(state["ema"]["model"])
            self.ema.steps = state["ema"]["steps"]
        if state["schedule"] is not None:
            self.stage.plain_schedule.load_state_dict(state["schedule"])
        if self.update.scale is not None:
            self.update.scale.value, self.update.scale.good_steps = state["scale"]["value"], state["scale"]["good_steps"]
        return True


def copy_of(model: Classifier) -> Classifier:
    """An independent copy on the CPU."""
    return copy.deepcopy(model)


def train_fold(job: Job, fold: Fold, resume: bool = False) -> FoldResult:
    """Trains one fold, or returns its result where it is finished and `resume` is set."""
    folder = job.folder / f"fold{fold.index}"
    if resume and (finished := load_result(folder)) is not None:
        read_description(folder)
        return finished
    training = FoldTraining(job, fold)
    if resume:
        training.resume()
    job.on_step(training.epoch * len(training.loader), f"fold {fold.index}")
    result = training.run()
    job.on_step((job.config.epochs - training.epoch) * len(training.loader), f"fold {fold.index} done")
    return result
