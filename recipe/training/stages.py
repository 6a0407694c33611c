"""Training in stages: the head alone first, then everything, each with its own optimizer, rate and schedule.

Source: Lin, RoyChowdhury, Maji, "Bilinear CNN Models for Fine-grained Visual Recognition", 2015, section 4 (two-step
fine-tuning).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from recipe.components.optimizers import OPTIMIZERS
from recipe.components.schedules import SCHEDULES, Schedule, with_warmup
from recipe.config import Config
from recipe.models.classifier import Classifier
from recipe.training.clock.plan import Pace
from recipe.training.step.fixed import fix
from recipe.training.step.groups import fuse, param_groups

WARMUP_SHARE = 0.2  # of a stage at most, so that a trial of one epoch still learns


@dataclass
class Stage:
    """Some epochs under one optimizer and one schedule."""

    lr: float
    frozen: bool  # the head alone learns
    pace: Pace  # its own progress, by steps of the fold
    planned: int  # steps it was entered for; the warm-up is a share of them
    optimizer: torch.optim.Optimizer
    plain_schedule: Any  # without the warm-up; a plateau observes through it
    schedule: Schedule

    def set_lr(self, step: int, factor: float = 1.0) -> float:
        """Sets the rate of every group for a step of the fold, times a factor; returns the base rate."""
        lr = factor * self.lr * self.schedule(self.pace.at(step))
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        return lr


def stage_of(
    step: int, frozen_steps: int, end: int, model: Classifier, config: Config, steps_per_epoch: int, planned: int = 0
) -> Stage:
    """The stage that a step belongs to, at its beginning; freezes or releases the backbone.

    Args:
        step: of the fold, from 0.
        frozen_steps: the first ones, which train the head alone.
        end: steps of the fold.
        planned: steps of the stage when it was entered, where that was earlier; 0 takes those of now.

    Limit: frozen_steps 0 is one stage, the whole fold.
    """
    frozen = step < frozen_steps
    model.backbone.requires_grad_(not frozen)
    fix(model.backbone, config)
    first, last = (0, min(frozen_steps, end)) if frozen else (frozen_steps, end)
    planned = planned or max(1, last - first)
    lr = config.freeze_lr if frozen else config.scaled_lr
    groups = param_groups(
        model, lr, config.weight_decay, config.layer_decay, config.head_lr_scale, not config.decay_all
    )
    plain = SCHEDULES.build(config.schedule)
    schedule = with_warmup(plain, min(config.warmup_epochs * steps_per_epoch / planned, WARMUP_SHARE))
    optimizer = OPTIMIZERS.build(config.optimizer, groups, lr)
    fuse(optimizer)
    return Stage(lr, frozen, Pace.between(first, last), planned, optimizer, plain, schedule)
