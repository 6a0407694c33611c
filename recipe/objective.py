"""What a step minimises: loss per picture, mixed labels, the teacher, reduction, and the terms that are added."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from recipe.batch import Batch
from recipe.config import Config
from recipe.consistency import js_consistency, unstack
from recipe.distill import distilled
from recipe.losses import LOSSES, REDUCTIONS, at
from recipe.penalty import l1_penalty

Forward = Callable[[torch.Tensor], torch.Tensor]  # pictures (B,3,H,W) to logits (B,K) float32


class Objective:
    """The objective of the settings; `progress` in [0, 1] is set before each step.

    With mixed pictures the loss of each is lam * loss(labels) + (1 - lam) * loss(labels_b). A teacher's share, the reduction, the
    consistency of AugMix views and the L1 term follow in this order.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018, section 2, for the mixed labels.
    Limit: lam 1, no teacher and weights 0 give the plain loss.
    """

    def __init__(self, config: Config, counts: torch.Tensor, parameters: Iterable[torch.Tensor] = ()) -> None:
        self.config, self.parameters = config, list(parameters)
        self.loss, self.reduction = LOSSES.build(config.loss, counts), REDUCTIONS.build(config.reduction)
        self.progress = 0.0

    def __call__(self, forward: Forward, batch: Batch) -> torch.Tensor:
        """A scalar to minimise; averaged over micro-batches by their share of the pictures it is that of the whole batch."""
        logits = forward(self._pictures(batch)).unflatten(0, (-1, len(batch)))  # (V, B, K); V = 1 without consistency
        losses = self._mixed(logits[0], batch)
        if batch.teacher_probs is not None:
            losses = distilled(
                losses, logits[0], batch.teacher_probs, temperature=self.config.teacher_temperature, weight=self.config.teacher_weight
            )
        total = self.reduction(losses)
        if self.config.consistency:
            total = total + self.config.consistency * js_consistency(logits).mean()
        return total + l1_penalty(self.parameters, self.config.l1)

    def _pictures(self, batch: Batch) -> torch.Tensor:
        return unstack(batch.images) if self.config.consistency else batch.images

    def _mixed(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        loss = at(self.loss, self.progress)
        losses = loss(logits, batch.labels)
        if bool((batch.lam < 1).any()):
            losses = batch.lam * losses + (1 - batch.lam) * loss(logits, batch.labels_b)
        return losses
