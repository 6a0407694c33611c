"""Exponential moving average of the weights.

Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; the warm-up of the decay as
in Tarvainen and Valpola, "Mean teachers are better role models", 2017, section 3.2.
"""

from __future__ import annotations

import copy

import torch
from torch import nn


class ExponentialMovingAverage:
    """A second model whose weights follow the first: average = d * average + (1 - d) * weight.

    d grows from 0 to `decay` as min(decay, (1 + step) / (10 + step)), so a short run is not dominated by its start.
    Buffers (BatchNorm statistics) are copied. Limit: decay 0 is the model itself.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes one optimizer step's weights in."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        averages: list[torch.Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(averages, [weight.detach() for weight in model.parameters()], 1 - decay)
        for average, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(buffer)
