"""How large a network is and how much one picture costs it.

cost(timm.create_model("resnet50"), 224)    # Cost(parameters=25557032, macs=4089184256)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Cost:
    """Size and work of a network. The literature prints MACs and often calls them FLOPs; here one MAC is two FLOPs."""

    parameters: int  # trainable or not, buffers left out
    macs: int  # multiply-adds of one picture, forward, in convolutions, matrix products and attention

    @property
    def flops(self) -> int:
        """2 x MACs: the multiplication and the addition each count."""
        return 2 * self.macs


def parameters(model: nn.Module) -> int:
    """The number of weights, frozen ones included, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


def cost(model: nn.Module, image_size: int) -> Cost:
    """The cost of one square picture of `image_size` pixels at prediction.

    Norms, activations and poolings are left out, as in published figures: they are far below 1 % of a convolutional
    network. A model built under `torch.device("meta")` is counted without memory or computation.
    """
    device = next(model.parameters()).device
    training = model.training
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model.eval()(torch.zeros(1, 3, image_size, image_size, device=device))
    model.train(training)
    return Cost(parameters(model), counter.get_total_flops() // 2)
