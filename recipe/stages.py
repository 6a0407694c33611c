"""Training in stages: the head alone first, then everything, each with its own optimizer, rate and schedule.

Source: Lin, RoyChowdhury, Maji, "Bilinear CNN Models for Fine-grained Visual Recognition", 2015, section 4 (two-step fine-tuning).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from recipe.config import Config
from recipe.fused import fuse
from recipe.models import Classifier
from recipe.optim import OPTIMIZERS
from recipe.param_groups import param_groups
from recipe.schedule import SCHEDULES, Schedule, with_warmup

WARMUP_SHARE = 0.2  # of a stage at most, so that a trial of one epoch still learns


@dataclass
class Stage:
    """Some epochs under one optimizer and one schedule."""

    first: int  # epoch, counted from 1
    last: int
    lr: float
    frozen: bool  # the head alone learns
    steps_per_epoch: int
    optimizer: torch.optim.Optimizer
    plain_schedule: Any  # without the warm-up; a plateau observes through it
    schedule: Schedule

    def progress(self, step: int) -> float:
        """Share of the stage before a step of the run, in [0, 1)."""
        return (step - (self.first - 1) * self.steps_per_epoch) / max(1, (self.last - self.first + 1) * self.steps_per_epoch)

    def set_lr(self, step: int, factor: float = 1.0) -> float:
        """Sets the rate of every group for a step of the run, times a factor; returns the base rate."""
        lr = factor * self.lr * self.schedule(self.progress(step))
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        return lr


def stage_of(epoch: int, model: Classifier, config: Config, steps_per_epoch: int) -> Stage:
    """The stage that an epoch belongs to, at its beginning; freezes or releases the backbone.

    Limit: freeze_epochs 0 is one stage, the whole run.
    """
    frozen = epoch <= config.freeze_epochs
    model.backbone.requires_grad_(not frozen)
    first, last = (1, config.freeze_epochs) if frozen else (config.freeze_epochs + 1, max(1, config.epochs))
    lr = config.freeze_lr if frozen else config.scaled_lr
    groups = param_groups(model, lr, config.weight_decay, config.layer_decay, config.head_lr_scale, not config.decay_all)
    plain = SCHEDULES.build(config.schedule)
    schedule = with_warmup(plain, min(config.warmup_epochs / (last - first + 1), WARMUP_SHARE))
    optimizer = OPTIMIZERS.build(config.optimizer, groups, lr)
    fuse(optimizer)
    return Stage(first, last, lr, frozen, steps_per_epoch, optimizer, plain, schedule)
