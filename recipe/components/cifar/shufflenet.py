"""ShuffleNet v1, and v2 of torchvision's stages, behind a 3x3 stem of stride 1."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from recipe.components.cifar.backbone import BACKBONES, Activation, Backbone, small_stem
from recipe.components.initial import replace_activation

_WIDTHS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # channels of the first stage by number of groups, table 1


class ShuffleUnit(nn.Module):
    """Grouped 1x1, shuffle, depthwise 3x3, grouped 1x1; added to the shortcut, or beside its pooling at stride 2."""

    def __init__(self, inside: int, outside: int, groups: int, stride: int, grouped_entry: bool) -> None:
        super().__init__()
        branch, middle = (outside - inside if stride == 2 else outside), outside // 4
        self.reduce = nn.Conv2d(inside, middle, 1, groups=groups if grouped_entry else 1, bias=False)
        self.bn1, self.act1 = nn.BatchNorm2d(middle), nn.ReLU()
        self.shuffle = nn.ChannelShuffle(groups)
        self.depthwise = nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.expand = nn.Conv2d(middle, branch, 1, groups=groups, bias=False)
        self.bn3, self.act3 = nn.BatchNorm2d(branch), nn.ReLU()
        self.pool = nn.AvgPool2d(3, 2, 1) if stride == 2 else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B,inside,h,w) to (B,outside,h/stride,w/stride)."""
        branch = self.shuffle(self.act1(self.bn1(self.reduce(features))))
        branch = self.bn3(self.expand(self.bn2(self.depthwise(branch))))
        joined = features + branch if self.pool is None else torch.cat([self.pool(features), branch], 1)
        return self.act3(joined)


@BACKBONES.register
def cifar_shufflenet(groups: Literal[1, 2, 3, 4, 8] = 3, activation: Activation = "relu") -> nn.Module:
    """ShuffleNet, width 1: grouped pointwise convolutions whose groups are mixed by shuffling channels.

    Limit: groups=1 has nothing to shuffle.
    Source: Zhang, Zhou, Lin, Sun, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
    2018, table 1.
    """
    layers: list[nn.Module] = [nn.Sequential(nn.Conv2d(3, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU())]
    inside = 24
    for stage, units in enumerate((4, 8, 4)):
        outside = _WIDTHS[groups] * 2**stage
        for unit in range(units):
            # The first pointwise layer has few input channels and is not grouped (section 3.2).
            layers.append(ShuffleUnit(inside, outside, groups, 2 if unit == 0 else 1, grouped_entry=inside != 24))
            inside = outside
    network = Backbone(nn.Sequential(*layers), inside)
    replace_activation(network, activation)
    return network


@BACKBONES.register
def cifar_shufflenet_v2(activation: Activation = "relu") -> nn.Module:
    """ShuffleNet v2, width 1.0: half of the channels pass by, then all are shuffled.

    Source: Ma, Zhang, Zheng, Sun, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", 2018,
    table 5.
    """
    from recipe.system import torchvision_guard  # noqa: F401, I001  (before torchvision)
    from torchvision.models import shufflenet_v2_x1_0

    net = shufflenet_v2_x1_0(weights=None)
    stem = nn.Sequential(small_stem(net.conv1[0]), *net.conv1[1:])
    network = Backbone(nn.Sequential(stem, *net.stage2, *net.stage3, *net.stage4, net.conv5), 1024)
    replace_activation(network, activation)
    return network
