"""The steps of one fold: its network, loader and objective, and what a batch goes through on its way to moved weights.

What is random in a step depends on (seed, fold, epoch, step) alone.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import nn

from recipe.components.mixes import MIXES
from recipe.components.sam import perturbs_alone
from recipe.data.batch import Batch
from recipe.data.folds import Fold
from recipe.training.clock.cost import work_of
from recipe.training.clock.plan import Pace
from recipe.training.run import Run
from recipe.training.stages import stage_of
from recipe.training.start import kept_features, loader_of, objective_of, seed_of, start_network, start_probe
from recipe.training.state import FoldState, StagePosition
from recipe.training.step.average import ExponentialMovingAverage
from recipe.training.step.teacher import build_teacher
from recipe.training.step.update import Update


class FoldSteps:
    """A fold at its start, ready to take steps; training/fold.py makes epochs of them, a range test only steps."""

    def __init__(self, run: Run, fold: Fold, end: int | None = None) -> None:
        """`end` is the number of steps that it is planned for; by default those of the settings."""
        self.run, self.fold, self.config = run, fold, run.config
        self.runtime = dataclasses.replace(run.runtime)  # a fold may change its micro-batch; the next begins anew
        self.seed = seed_of(run, fold)
        self.model = start_network(run, self.runtime, self.seed)
        if self.config.compile:
            self.model.compile()
        self.probe_probs = start_probe(run, fold, self.model)
        self.ema = ExponentialMovingAverage(self.model, self.config.ema_decay) if self.config.ema_decay else None
        self.loader = loader_of(run, fold, self.runtime, self.seed)
        self.mix = MIXES.build(self.config.mix)
        self.teacher = build_teacher(self.config, run.table, fold, run.preprocessing, self.runtime)
        self.objective = objective_of(run, fold, self.runtime, self.model)
        self.work = work_of(self.config, fold)
        pace = Pace(self.work.asked if end is None else end)
        frozen_steps = self.work.frozen_of(pace.end)
        self.state = FoldState(run.number, fold.index, pace, frozen_steps, StagePosition(pace, 0))
        self.enter_stage(1)

    def enter_stage(self, epoch: int, planned: int = 0) -> None:
        """Optimizer and schedule of the stage that an epoch belongs to, entered for so many steps."""
        steps = len(self.loader)
        self.stage = stage_of(
            (epoch - 1) * steps, self.state.frozen_steps, self.state.pace.end, self.model, self.config, steps, planned
        )
        self.run.threads.restart()
        keeps = self.stage.frozen and self.teacher is None
        self.features = kept_features(self.run, self.fold, self.runtime, self.model, self.loader) if keeps else None
        network = self.model if self.features is None else self.model.head
        self.update = Update(
            network, self.stage.optimizer, self.objective, self.runtime, self.config.clip_grad, self.run.world,
            perturbs_alone(self.stage.optimizer, self.config.sam_ranks),
        )  # fmt: skip

    def candidates(self) -> list[tuple[nn.Module, bool]]:
        """The networks that an epoch's validation judges, and whether each is a moving average."""
        average = [] if self.ema is None else [(self.ema.model, True)]
        return average if average and self.run.last_stands else [(self.model, False), *average]

    def take(self, batch: Batch, step: int, mixes: bool) -> float:
        """One optimizer step; the loss before it."""
        seed = int(np.random.SeedSequence([self.seed, step]).generate_state(1)[0])
        images = self.run.preprocessing.normalise(batch.images) if self.features is None else self.features[batch.rows]
        batch = dataclasses.replace(batch, images=images)
        if mixes:
            batch = self.mix(batch, torch.Generator().manual_seed(seed))
        if self.teacher is not None and len(batch):
            batch = dataclasses.replace(batch, teacher_probs=self.teacher(batch))
        loss = self.update.step(batch, step, self._own_seed(seed, batch))
        if self.ema is not None:
            self.ema.update(self.model)
        return loss

    def _own_seed(self, seed: int, batch: Batch) -> int:
        """The seed of dropout: that of the step in the first process, another for another's share of the batch."""
        if self.run.world.is_first or not len(batch):
            return seed
        return int(np.random.SeedSequence([seed, int(batch.rows[0])]).generate_state(1)[0])
