"""Wide residual networks, in their own CIFAR form: three stages, pre-activation.

Source: Zagoruyko, Komodakis, "Wide Residual Networks", 2016, table 1 and section 2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from recipe.components.cifar.backbone import Activation, Backbone, variants
from recipe.components.initial import replace_activation
from recipe.registry import Count, Fraction


class WideBlock(nn.Module):
    """B(3,3): norm, activation, 3x3, norm, activation, dropout, 3x3; the shortcut widens after the first activation."""

    def __init__(self, inside: int, outside: int, stride: int, dropout: float, drop_path: float) -> None:
        super().__init__()
        self.bn1, self.act1 = nn.BatchNorm2d(inside), nn.ReLU()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn2, self.act2 = nn.BatchNorm2d(outside), nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(inside, outside, 1, stride, bias=False) if inside != outside or stride > 1 else None
        self.drop_path = drop_path

    def zero_init_last(self) -> None:
        """The last convolution to 0: a pre-activation branch ends without a norm."""
        nn.init.zeros_(self.conv2.weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B,inside,h,w) to (B,outside,h/stride,w/stride)."""
        active = self.act1(self.bn1(features))
        shortcut = features if self.shortcut is None else self.shortcut(active)
        branch = self.conv2(self.dropout(self.act2(self.bn2(self.conv1(active)))))
        return shortcut + drop_branch(branch, self.drop_path, self.training)


def drop_branch(branch: torch.Tensor, rate: float, training: bool) -> torch.Tensor:
    """The branch, in training left out for a share `rate` of the pictures and scaled up for the others."""
    if not training or not rate:
        return branch
    keep = torch.rand(len(branch), 1, 1, 1, device=branch.device) >= rate
    return branch * keep.to(branch.dtype) / (1 - rate)


@variants("cifar_wrn{}_10", 28, 40)
def wideresnet(
    depth: int,
    /,
    widen: Count = 10,
    dropout: Fraction = 0.0,
    drop_path: Fraction = 0.0,
    activation: Activation = "relu",
) -> nn.Module:
    """Wide ResNet with 3 stages of (depth - 4) / 6 blocks, `widen` times 16, 32 and 64 channels.

    Limit: widen=1 is the thin pre-activation ResNet of that depth.
    Source: Zagoruyko, Komodakis, "Wide Residual Networks", 2016, table 1.
    """
    blocks, widths = (depth - 4) // 6, (16 * widen, 32 * widen, 64 * widen)
    layers: list[Any] = [nn.Conv2d(3, 16, 3, padding=1, bias=False)]
    inside = 16
    for number in range(3 * blocks):
        outside = widths[number // blocks]
        stride = 2 if number and number % blocks == 0 else 1
        layers.append(WideBlock(inside, outside, stride, dropout, drop_path * number / max(1, 3 * blocks - 1)))
        inside = outside
    layers.append(nn.Sequential(nn.BatchNorm2d(inside), nn.ReLU()))
    network = Backbone(nn.Sequential(*layers), inside)
    replace_activation(network, activation)
    return network
