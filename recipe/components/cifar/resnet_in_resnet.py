"""ResNet in ResNet: a residual and a transient stream side by side.

Source: Targ, Almeida, Lyman, "Resnet in Resnet: Generalizing Residual Architectures", 2016, section 2.
"""

from __future__ import annotations

import torch
from torch import nn

from recipe.components.cifar.backbone import BACKBONES, Activation, Backbone
from recipe.components.initial import replace_activation


class GeneralizedLayer(nn.Module):
    """Both streams, of `inside` channels each, in one tensor: the first half residual, the second transient.

    One convolution over both holds the four of equation 1, within and across streams; only the residual half gets a
    shortcut.
    """

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.inside = inside
        self.conv = nn.Conv2d(2 * inside, 2 * outside, 3, stride, 1, bias=False)
        changed = inside != outside or stride > 1
        self.shortcut = nn.Conv2d(inside, outside, 1, stride, bias=False) if changed else nn.Identity()
        self.bn, self.act = nn.BatchNorm2d(2 * outside), nn.ReLU()

    def forward(self, streams: torch.Tensor) -> torch.Tensor:
        """(B,2*inside,h,w) to (B,2*outside,h/stride,w/stride)."""
        residual, transient = self.conv(streams).chunk(2, 1)
        residual = residual + self.shortcut(streams[:, : self.inside])
        return self.act(self.bn(torch.cat([residual, transient], 1)))


@BACKBONES.register
def cifar_resnet_in_resnet(activation: Activation = "relu") -> nn.Module:
    """ResNet in ResNet, 18 layers, wide: 48, 96 and 192 channels in each of two streams, classified together.

    Source: Targ, Almeida, Lyman, "Resnet in Resnet: Generalizing Residual Architectures", 2016, section 3.
    """
    layers: list[nn.Module] = [nn.Sequential(nn.Conv2d(3, 96, 3, padding=1, bias=False), nn.BatchNorm2d(96), nn.ReLU())]
    inside = 48
    for outside, count in ((48, 4), (96, 6), (192, 6)):
        for number in range(count):
            layers.append(GeneralizedLayer(inside, outside, 2 if number == 0 and inside != outside else 1))
            inside = outside
    network = Backbone(nn.Sequential(*layers), 2 * inside)
    replace_activation(network, activation)
    return network
