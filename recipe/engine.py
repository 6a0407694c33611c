"""One update for every optimizer.

`optimizer.step(closure)` is torch's own convention. The closure computes the gradient of the whole effective batch, so SGD, AdamW,
Ranger and SAM share one code path, with or without accumulation. SAM calls it twice: both passes see the same mixed batch and the
same dropout masks, and BatchNorm takes its statistics from the first pass only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from recipe.batch import Batch
from recipe.errors import UserError
from recipe.objective import Objective
from recipe.runtime import Runtime

GROWTH_INTERVAL = 2000  # steps without overflow after which the fp16 loss scale is doubled, as torch.amp.GradScaler does


class NonFiniteLossError(UserError, RuntimeError):
    """The loss became infinite or not a number; no weight has moved in this step."""


@dataclass
class LossScale:
    """The fp16 loss scale. A GradScaler accepts no closure, so the closure itself scales, and repeats a pass that overflowed.

    Source: Micikevicius et al., "Mixed Precision Training", 2018, section 3.2.
    """

    value: float = 2.0**12
    good_steps: int = 0

    def overflowed(self) -> None:
        """Halves the scale."""
        self.value, self.good_steps = self.value / 2, 0

    def succeeded(self) -> None:
        """Doubles the scale after enough good steps."""
        self.good_steps += 1
        if self.good_steps >= GROWTH_INTERVAL:
            self.value, self.good_steps = min(self.value * 2, 2.0**24), 0


class Update:
    """One optimizer step on one batch of any size.

    Limit: a micro-batch of one picture or of all gives the same step (up to rounding, and to batch statistics where they are not frozen).
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, objective: Objective, runtime: Runtime, clip_grad: float = 0.0
    ) -> None:
        self.model, self.optimizer, self.objective, self.runtime, self.clip_grad = model, optimizer, objective, runtime, clip_grad
        self.scale = LossScale() if runtime.precision == "fp16" else None
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def step(self, batch: Batch, step: int, seed: int) -> float:
        """Moves the weights once; returns the loss of the first pass.

        Args:
            batch: normalised and mixed, on the device.
            step: number of the step, for messages.
            seed: seed of dropout and stochastic depth; every pass of the step uses it.

        Raises:
            NonFiniteLossError: before any weight has moved.
        """
        passes: list[float] = []

        def closure() -> float:
            with torch.enable_grad(), batch_norm_statistics(self.model, update=not passes):
                loss = self._gradient(batch, seed)
            self._check(loss, batch, step)
            passes.append(loss)
            return loss

        self.optimizer.step(closure)  # type: ignore[arg-type]
        return passes[0]

    def _gradient(self, batch: Batch, seed: int) -> float:
        """Gradient of the whole batch, in micro-batches; halved and repeated when memory runs out or fp16 overflows."""
        while True:
            try:
                torch.manual_seed(seed)
                loss = self._accumulate(batch)
            except torch.OutOfMemoryError:
                if self.runtime.micro_batch == 1:
                    raise
                self.runtime.micro_batch = max(1, min(self.runtime.micro_batch, len(batch)) // 2)
                torch.cuda.empty_cache()
                continue
            if self.scale is None or self._unscale(self.scale):
                break
        if self.clip_grad:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_grad)
        return loss

    def _accumulate(self, batch: Batch) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.runtime.device)
        for part in batch.split(self.runtime.micro_batch):
            loss = self.objective(self._forward, part) * (len(part) / len(batch))
            (loss * self.scale.value if self.scale else loss).backward()
            total += loss.detach()
        return float(total)

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        with self.runtime.autocast():
            logits = self.model(images)
        return logits.float()

    def _unscale(self, scale: LossScale) -> bool:
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        torch._foreach_mul_(gradients, 1 / scale.value)
        if all(bool(gradient.isfinite().all()) for gradient in gradients) or scale.value < 1:
            scale.succeeded()
            return True
        scale.overflowed()
        return False

    def _check(self, loss: float, batch: Batch, step: int) -> None:
        if loss == loss and abs(loss) != float("inf"):
            return
        lr = self.optimizer.param_groups[0]["lr"]
        raise NonFiniteLossError(
            f"the loss is {loss} at step {step} with learning rate {lr:.3g}, on table rows {batch.rows.tolist()}. No weight has moved in "
            "this step. Lower --lr, set --clip-grad 1, or run with --precision float32."
        )


@contextlib.contextmanager
def batch_norm_statistics(model: nn.Module, update: bool) -> Iterator[None]:
    """With `update` False, running statistics stay as they are although the modules normalise by the batch."""
    frozen = [] if update else [module for module in model.modules() if isinstance(module, _BatchNorm) and module.training]
    momenta = [module.momentum for module in frozen]
    for module in frozen:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum in zip(frozen, momenta, strict=True):
            module.momentum = momentum


def training_mode(model: nn.Module, freeze_batch_norm: bool) -> None:
    """Training mode, with BatchNorm under its stored statistics where asked.

    A short run from pretrained weights never recovers from batch statistics that differ from the stored ones.
    """
    model.train()
    for module in model.modules():
        if freeze_batch_norm and isinstance(module, _BatchNorm):
            module.eval()
