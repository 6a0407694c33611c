"""What a step minimises: loss per picture, mixed labels, the teacher, reduction, and the terms that are added.

AugMix's consistency term wants the same answer to three views of a picture. With the loader's transform
`recipe.components.augment.pipeline.AugmentViews` a batch holds (B, 3, V*S, S) pictures, V = 3, and the update is

    logits = model(unstack(images)).unflatten(0, (-1, B))           (V, B, K)
    loss = reduction(losses(logits[0], labels)) + 12 * js_consistency(logits).mean()

The L1 penalty is a term of the loss, unlike weight decay, which belongs to the optimizer.

Sources: Hendrycks et al., "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty", 2020,
section 3; Tibshirani, "Regression Shrinkage and Selection via the Lasso", 1996, section 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch

from recipe.components.losses import LOSSES, REDUCTIONS, at
from recipe.config import Config
from recipe.data.batch import Batch
from recipe.training.step.distill import distilled


def unstack(images: torch.Tensor) -> torch.Tensor:
    """(V*B, 3, S, S) pictures from (B, 3, V*S, S) with V views one below the other: all first views, then all second.

    The result is channels_last where the stack is. Limit: square pictures (V = 1) are returned as they are.

    Raises:
        ValueError: a height that is no multiple of the width.
    """
    height, width = images.shape[-2:]
    if height % width:
        raise ValueError(f"pictures of {height} x {width} pixels are no stack of square views.")
    return images if height == width else torch.cat(images.split(width, dim=-2))


def js_consistency(logits: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence of the answers to the views, (B,) in nats, 0 to log V; logits (V, B, K).

    The paper adds 12 times its mean to the cross-entropy of the clean (first) views. Limit: 0 where all views get the
    same answer.
    """
    log_probs = logits.float().log_softmax(-1)
    log_mean = log_probs.logsumexp(0) - math.log(len(logits))
    return (log_probs.exp() * (log_probs - log_mean)).sum(-1).mean(0)


def l1_penalty(parameters: Iterable[torch.Tensor], weight: float) -> torch.Tensor | float:
    """`weight` times the sum of absolute values of all weights that are trained and have two dimensions or more.

    Biases and norms are left out, as from weight decay. It is added once per optimizer step, not once per micro-batch.
    Limit: weight 0 is 0.
    """
    if not weight:
        return 0.0
    trained = [parameter.abs().sum() for parameter in parameters if parameter.requires_grad and parameter.ndim >= 2]
    return weight * torch.stack(trained).sum() if trained else 0.0


Forward = Callable[[torch.Tensor], torch.Tensor]  # pictures (B,3,H,W) to logits (B,K) float32


class Objective:
    """The objective of the settings; `progress` in [0, 1] is set before each step.

    With mixed pictures the loss of each is lam * loss(labels) + (1 - lam) * loss(labels_b). A teacher's share, the
    reduction, the consistency of AugMix views and the L1 term follow in this order.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018, section 2, for the mixed labels.
    Limit: lam 1, no teacher and weights 0 give the plain loss.
    """

    def __init__(self, config: Config, counts: torch.Tensor, parameters: Iterable[torch.Tensor] = ()) -> None:
        self.config, self.parameters = config, list(parameters)
        self.loss, self.reduction = LOSSES.build(config.loss, counts), REDUCTIONS.build(config.reduction)
        self.progress = 0.0

    def __call__(self, forward: Forward, batch: Batch) -> torch.Tensor:
        """A scalar to minimise; micro-batches, averaged by their share of the pictures, give the whole batch's."""
        logits = forward(self._pictures(batch)).unflatten(0, (-1, len(batch)))  # (V, B, K); V = 1 without consistency
        losses = self._mixed(logits[0], batch)
        if batch.teacher_probs is not None:
            losses = distilled(
                losses,
                logits[0],
                batch.teacher_probs,
                temperature=self.config.teacher_temperature,
                weight=self.config.teacher_weight,
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
