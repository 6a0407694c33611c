"""NASNet-A in its CIFAR form, without the strided stem cells.

Source: Zoph, Vasudevan, Shlens, Le, "Learning Transferable Architectures for Scalable Image Recognition", 2018, figure
4 and table 1.
"""

from __future__ import annotations

import torch
from torch import nn

from protocol.language import tr
from recipe.components.cifar.backbone import BACKBONES, Activation, Backbone
from recipe.components.initial import replace_activation
from recipe.registry import Count


def _separable(channels: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """Activation, depthwise, pointwise, norm: twice, the stride in the first."""
    layers: list[nn.Module] = []
    for s in (stride, 1):
        depthwise = nn.Conv2d(channels, channels, kernel_size, s, kernel_size // 2, groups=channels, bias=False)
        layers += [nn.ReLU(), depthwise, nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)]
    return nn.Sequential(*layers)


def _fit(inside: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inside, channels, 1, bias=False), nn.BatchNorm2d(channels))


def _average(stride: int = 1) -> nn.Module:
    return nn.AvgPool2d(3, stride, 1, count_include_pad=False)


class Halve(nn.Module):
    """Half the size without losing every other place: two strided 1x1 paths, one a pixel further, side by side."""

    def __init__(self, inside: int, channels: int) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.paths = nn.ModuleList([nn.Conv2d(inside, channels // 2, 1, 2, bias=False) for _ in range(2)])
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B,inside,h,w) to (B,channels,ceil(h/2),ceil(w/2))."""
        active = self.act(features)
        shifted = nn.functional.pad(active, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.bn(torch.cat([self.paths[0](active), self.paths[1](shifted)], 1))


class NormalCell(nn.Module):
    """Five sums of two operations each, joined with the previous cell: 6 * channels."""

    def __init__(self, last: int, previous: int, channels: int, halve: bool) -> None:
        super().__init__()
        self.last = _fit(last, channels)
        self.previous = Halve(previous, channels) if halve else _fit(previous, channels)
        self.last5, self.last3 = _separable(channels, 5), _separable(channels, 3)
        self.previous3 = nn.ModuleList([_separable(channels, 3) for _ in range(2)])
        self.previous5 = _separable(channels, 5)
        self.average = _average()

    def forward(self, last: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        """(B,C,h,w) of the last cell and of the one before it to (B,6*channels,h,w)."""
        last, previous = self.last(last), self.previous(previous)
        pooled = self.average(previous)
        sums = [
            self.last5(last) + self.previous3[0](previous),
            self.previous5(previous) + self.previous3[1](previous),
            self.average(last) + previous,
            pooled + pooled,
            self.last3(last) + last,
        ]
        return torch.cat([previous, *sums], 1)


class ReductionCell(nn.Module):
    """Halves height and width: 4 * channels."""

    def __init__(self, last: int, previous: int, channels: int) -> None:
        super().__init__()
        self.last, self.previous = _fit(last, channels), _fit(previous, channels)
        self.last5, self.previous5 = _separable(channels, 5, 2), _separable(channels, 5, 2)
        self.previous7 = nn.ModuleList([_separable(channels, 7, 2) for _ in range(2)])
        self.first3 = _separable(channels, 3)
        self.largest, self.halved, self.average = nn.MaxPool2d(3, 2, 1), _average(2), _average()

    def forward(self, last: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        """(B,C,h,w) of the last cell and of the one before it to (B,4*channels,h/2,w/2)."""
        last, previous = self.last(last), self.previous(previous)
        first = self.last5(last) + self.previous7[0](previous)
        largest = self.largest(last)
        second = largest + self.previous7[1](previous)
        third = self.halved(last) + self.previous5(previous)
        return torch.cat([second, third, second + self.average(first), self.first3(first) + largest], 1)


class NASNet(Backbone):
    """Three stages of `cells` normal cells with a reduction cell between stages; each cell sees the two before it."""

    def __init__(self, cells: int, channels: int) -> None:
        stem = nn.Sequential(nn.Conv2d(3, 3 * channels, 3, padding=1, bias=False), nn.BatchNorm2d(3 * channels))
        chain: list[nn.Module] = [stem]
        last = previous = 3 * channels
        for stage in range(3):
            if stage:
                channels *= 2
                chain.append(ReductionCell(last, previous, channels))
                last, previous = 4 * channels, last
            for number in range(cells):
                chain.append(NormalCell(last, previous, channels, halve=bool(stage) and number == 0))
                last, previous = 6 * channels, last
        super().__init__(nn.Sequential(*chain), last)
        self.act = nn.ReLU()

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Refused: cells take two maps."""
        if enable:
            raise ValueError(tr("NASNet cannot recompute activations here; set grad_checkpoint: false."))

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """(B,3,H,W) to (B,24*channels,H/4,W/4)."""
        last = previous = self.layers[0](images)
        for number in range(1, len(self.layers)):
            last, previous = self.layers[number](last, previous), last
        return self.act(last)


@BACKBONES.register
def cifar_nasnet(cells: Count = 6, channels: Count = 32, activation: Activation = "relu") -> nn.Module:
    """NASNet-A (cells @ 24 * channels), by default 6 @ 768, without auxiliary classifier and drop path.

    Source: Zoph, Vasudevan, Shlens, Le, "Learning Transferable Architectures for Scalable Image Recognition", 2018,
    table 1.
    """
    network = NASNet(cells, channels)
    replace_activation(network, activation)
    return network
