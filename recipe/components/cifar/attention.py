"""Residual attention networks behind a 3x3 stem.

Source: Wang et al., "Residual Attention Network for Image Classification", 2017, table 2 and figure 2.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from recipe.components.cifar.backbone import Activation, Backbone, variants
from recipe.components.initial import replace_activation

_MODULES = {56: (1, 1, 1), 92: (1, 2, 3)}  # attention modules per stage, table 2


def _conv(inside: int, outside: int, kernel_size: int, stride: int = 1) -> list[nn.Module]:
    """Norm, activation, convolution."""
    conv = nn.Conv2d(inside, outside, kernel_size, stride, kernel_size // 2, bias=False)
    return [nn.BatchNorm2d(inside), nn.ReLU(), conv]


class ResidualUnit(nn.Module):
    """Pre-activation bottleneck."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        middle = outside // 4
        self.branch = nn.Sequential(
            *_conv(inside, middle, 1), *_conv(middle, middle, 3, stride), *_conv(middle, outside, 1)
        )
        changed = inside != outside or stride > 1
        self.shortcut = nn.Conv2d(inside, outside, 1, stride, bias=False) if changed else nn.Identity()

    def zero_init_last(self) -> None:
        """The last convolution to 0: a pre-activation branch ends without a norm."""
        nn.init.zeros_(self.branch[-1].weight)  # type: ignore[arg-type]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B,inside,h,w) to (B,outside,h/stride,w/stride)."""
        return self.shortcut(features) + self.branch(features)


class SoftMask(nn.Module):
    """Halves the map `depth` times and brings it back, with a residual unit on every way down, up and across."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.down, self.up = ResidualUnit(channels, channels), ResidualUnit(channels, channels)
        self.across = ResidualUnit(channels, channels) if depth > 1 else None
        self.inner = SoftMask(channels, depth - 1) if depth > 1 else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B,C,h,w) to the same shape."""
        low = self.down(F.max_pool2d(features, 3, 2, 1))
        if self.inner is not None and self.across is not None:
            low = self.across(low) + self.inner(low)
        return F.interpolate(self.up(low), size=features.shape[-2:], mode="bilinear", align_corners=False)


class AttentionModule(nn.Module):
    """(1 + mask) * trunk: attention residual learning, equation 3. One unit before, two in the trunk, one after."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.before = ResidualUnit(channels, channels)
        self.trunk = nn.Sequential(ResidualUnit(channels, channels), ResidualUnit(channels, channels))
        gate = [*_conv(channels, channels, 1), *_conv(channels, channels, 1), nn.Sigmoid()]
        self.mask = nn.Sequential(SoftMask(channels, depth), *gate)
        self.after = ResidualUnit(channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B,C,h,w) to the same shape."""
        features = self.before(features)
        return self.after((1 + self.mask(features)) * self.trunk(features))


@variants("cifar_attention{}", 56, 92)
def attention(depth: int, /, activation: Activation = "relu") -> nn.Module:
    """Residual attention network: hourglass masks weigh the features of a pre-activation ResNet.

    The stem keeps 32 pixels, so the masks halve 3, 2 and 1 times as they do on the 56, 28 and 14 of the original.

    Source: Wang et al., "Residual Attention Network for Image Classification", 2017, table 2.
    """
    layers: list[Any] = [nn.Conv2d(3, 64, 3, padding=1, bias=False)]
    inside = 64
    for stage, modules in enumerate(_MODULES[depth]):
        outside = 256 * 2**stage
        layers.append(ResidualUnit(inside, outside, 1 if stage == 0 else 2))
        layers += [AttentionModule(outside, 3 - stage) for _ in range(modules)]
        inside = outside
    layers += [ResidualUnit(1024, 2048, 2), ResidualUnit(2048, 2048), ResidualUnit(2048, 2048)]
    layers.append(nn.Sequential(nn.BatchNorm2d(2048), nn.ReLU()))
    network = Backbone(nn.Sequential(*layers), 2048)
    replace_activation(network, activation)
    return network
