"""One update for every optimizer.

`optimizer.step(closure)` is torch's own convention. The closure computes the gradient of the whole effective batch, so
SGD, AdamW, Ranger and SAM share one code path, with or without accumulation. SAM calls it twice: both passes see the
same mixed batch and the same dropout masks, and BatchNorm takes its statistics from the first pass only. Where several
processes train together, each has its share of the batch, and the closure's gradient is that of all (exchange.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from protocol.errors import UserError
from protocol.language import tr
from recipe.data.batch import Batch
from recipe.system.console import say
from recipe.system.out_of_memory import OutOfMemory, is_out_of_memory, need_less
from recipe.system.processes.world import ALONE, LostProcess, World
from recipe.system.runtime import Runtime
from recipe.training.step.batch_norm import KeptStatistics, batch_norm_statistics, training_mode
from recipe.training.step.exchange import Exchange, Loss
from recipe.training.step.objective import Objective

__all__ = ["LossScale", "NonFiniteLossError", "Update", "batch_norm_statistics", "training_mode"]

GROWTH_INTERVAL = (
    2000  # steps without overflow after which the fp16 loss scale is doubled, as torch.amp.GradScaler does
)


class NonFiniteLossError(UserError, RuntimeError):
    """The loss or a gradient is infinite or not a number; nothing has moved, BatchNorm statistics included."""

    def __init__(self, what: str, rows: list[int], step: int, lr: float) -> None:
        self.what, self.rows = what, rows
        super().__init__(
            tr(
                "{what} at step {step} with learning rate {lr:.3g}, on table rows {rows}. No weight has "
                "moved in this step. Lower --lr, set --clip-grad 1, or run with --precision float32.",
                what=what,
                step=step,
                lr=lr,
                rows=rows,
            )
        )


@dataclass
class LossScale:
    """The fp16 loss scale; GradScaler accepts no closure: the closure scales, and repeats a pass that overflowed.

    Source: Micikevicius et al., "Mixed Precision Training", 2018, section 3.2.
    """

    value: float = 2.0**12
    good_steps: int = 0

    def overflows(self, norm: float) -> bool:
        """Whether a pass is to be repeated under half the scale; below 1 it is not the scale's fault."""
        if math.isfinite(norm) or self.value < 1:
            self._succeeded()
            return False
        self.value, self.good_steps = self.value / 2, 0
        return True

    def _succeeded(self) -> None:
        """Doubles the scale after enough good steps."""
        self.good_steps += 1
        if self.good_steps >= GROWTH_INTERVAL:
            self.value, self.good_steps = min(self.value * 2, 2.0**24), 0


class Update:
    """One optimizer step on one batch of any size.

    Limit: a micro-batch of one picture or of all gives the same step (up to rounding, and to batch statistics where
    they are not frozen).
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        objective: Objective,
        runtime: Runtime,
        clip_grad: float = 0.0,
        world: World = ALONE,
        own_first_pass: bool = False,
    ) -> None:
        """With `own_first_pass`, each process of `world` perturbs the weights by the gradient of its own share."""
        self.model, self.optimizer, self.objective, self.runtime, self.clip_grad = (
            model,
            optimizer,
            objective,
            runtime,
            clip_grad,
        )
        self.scale = LossScale() if runtime.precision == "fp16" else None
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.before_step, self.before_pass = KeptStatistics(model), KeptStatistics(model)
        self.exchange, self.own_first_pass = Exchange(world, self.parameters), own_first_pass and not world.alone

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
            self.before_pass.keep()
            with torch.enable_grad(), batch_norm_statistics(self.model, update=not passes):
                loss, norm = self._gradient(batch, seed, own=self.own_first_pass and not passes)
            self._check(loss, norm, batch, step)
            passes.append(loss)
            return loss

        self.before_step.keep()
        try:
            self.optimizer.step(closure)  # type: ignore[arg-type]
        except LostProcess:
            self.before_step.restore()  # the weights are where they were: the state before this step can be saved
            raise
        return passes[0]

    def _gradient(self, batch: Batch, seed: int, own: bool = False) -> tuple[float, float]:
        """Loss and gradient norm of the whole batch, in micro-batches; with less when memory or fp16 overflows.

        Args:
            own: the gradient stays that of this process's share.
        """
        while True:
            found = self._own_pass(batch, seed) if own else self._pass(batch, seed)
            if found is not None:
                loss, norm = torch.stack(found).tolist()  # one wait for the device
                if self.scale is None or not self.scale.overflows(norm):
                    return loss, norm
            self.before_pass.restore()

    def _pass(self, batch: Batch, seed: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Loss and norm, the gradient being that of all pictures; None where memory ran out."""
        loss = self.exchange.gradient(self._tried(batch, seed), len(batch))
        return None if loss is None else (loss, self._norm())

    def _own_pass(self, batch: Batch, seed: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The same, the gradient being that of this process's share."""
        loss = self._tried(batch, seed)
        return self.exchange.figures(loss, self._norm() if isinstance(loss, torch.Tensor) else None, len(batch))

    def _tried(self, batch: Batch, seed: int) -> Loss:
        """The loss of this process's pictures; None where memory ran out and less is taken from now on, and an error
        for all where nothing less can be taken.
        """
        try:
            torch.manual_seed(seed)
            return self._accumulate(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        self.before_pass.restore()
        self.optimizer.zero_grad(set_to_none=True)
        try:
            need_less(self.model, self.runtime, len(batch), say)
        except OutOfMemory as reason:
            return reason
        return None

    def _accumulate(self, batch: Batch) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.runtime.device)
        for part in batch.split(self.runtime.micro_batch) if len(batch) else []:
            loss = self.objective(self._forward, part) * (len(part) / len(batch))
            (loss * self.scale.value if self.scale else loss).backward()
            total += loss.detach()
        return total

    def _norm(self) -> torch.Tensor:
        """The gradient's norm before clipping; infinite or not a number if any part is: one figure tells of all."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if self.scale:
            torch._foreach_mul_(gradients, 1 / self.scale.value)
        norm = torch.nn.utils.get_total_norm(gradients)
        if self.clip_grad:
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.clip_grad, norm)
        return norm

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        with self.runtime.autocast():
            logits = self.model(images)
        return logits.float()

    def _check(self, loss: float, norm: float, batch: Batch, step: int) -> None:
        """Refuses figures that are none, and undoes what the step's forward passes did to BatchNorm."""
        if math.isfinite(loss) and math.isfinite(norm):
            return
        self.before_step.restore()
        what = (
            tr("the gradient's norm is {norm}", norm=norm)
            if math.isfinite(loss)
            else tr("the loss is {loss}", loss=loss)
        )
        rows = [row for part in self.exchange.world.gather(batch.rows.tolist()) for row in part]
        raise NonFiniteLossError(what, rows, step, self.optimizer.param_groups[0]["lr"])
