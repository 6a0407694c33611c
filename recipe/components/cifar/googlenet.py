"""GoogLeNet with batch norm, behind a stem of three 3x3 convolutions."""

from __future__ import annotations

import torch
from torch import nn

from recipe.components.cifar.backbone import BACKBONES, Activation, Backbone
from recipe.components.initial import replace_activation

# Table 1: 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; pool projection. "pool" halves the map.
_MODULES: list[tuple[int, int, int, int, int, int] | str] = [
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    "pool",
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    "pool",
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
]


def _conv(inside: int, outside: int, kernel_size: int) -> nn.Sequential:
    conv = nn.Conv2d(inside, outside, kernel_size, padding=kernel_size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outside), nn.ReLU())


class Inception(nn.Module):
    """Four branches side by side: 1x1, 3x3, 5x5 and pooling."""

    def __init__(self, inside: int, one: int, reduce3: int, three: int, reduce5: int, five: int, pool: int) -> None:
        super().__init__()
        self.one = _conv(inside, one, 1)
        self.three = nn.Sequential(_conv(inside, reduce3, 1), _conv(reduce3, three, 3))
        self.five = nn.Sequential(_conv(inside, reduce5, 1), _conv(reduce5, five, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), _conv(inside, pool, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B,C,h,w) to (B,one+three+five+pool,h,w)."""
        return torch.cat([self.one(features), self.three(features), self.five(features), self.pool(features)], 1)


@BACKBONES.register
def cifar_googlenet(activation: Activation = "relu") -> nn.Module:
    """GoogLeNet with batch norm, without auxiliary classifiers; 32 pixels end as 8.

    Source: Szegedy et al., "Going Deeper with Convolutions", 2015, table 1.
    """
    layers: list[nn.Module] = [_conv(3, 64, 3), _conv(64, 64, 1), _conv(64, 192, 3)]
    channels = 192
    for module in _MODULES:
        if isinstance(module, str):
            layers.append(nn.MaxPool2d(3, 2, 1))
        else:
            layers.append(Inception(channels, *module))
            channels = module[0] + module[2] + module[4] + module[5]
    network = Backbone(nn.Sequential(*layers), channels)
    replace_activation(network, activation)
    return network
