"""What a step minimises: loss per picture, mixed labels, reduction."""

from __future__ import annotations

from collections.abc import Callable

import torch

from recipe.batch import Batch
from recipe.config import Config
from recipe.losses import LOSSES, REDUCTIONS

Objective = Callable[[torch.Tensor, Batch], torch.Tensor]


def build_objective(config: Config, counts: torch.Tensor) -> Objective:
    """The objective of the settings: logits (B,K) and a batch to a scalar.

    With mixed pictures the loss of each is lam * loss(labels) + (1 - lam) * loss(labels_b).

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018, section 2.
    Limit: lam 1 is the plain loss.
    """
    loss, reduction = LOSSES.build(config.loss, counts), REDUCTIONS.build(config.reduction)

    def objective(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        losses = loss(logits, batch.labels)
        if bool((batch.lam < 1).any()):
            losses = batch.lam * losses + (1 - batch.lam) * loss(logits, batch.labels_b)
        return reduction(losses)

    return objective
