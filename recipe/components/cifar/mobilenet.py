"""MobileNet v1 and v2, timm's, with fewer strides."""

from __future__ import annotations

from typing import Any

from torch import nn

from recipe.components.cifar.backbone import BACKBONES, Activation, from_timm


def _unstride(network: Any) -> nn.Module:
    """Stride 1 in the stem and in the first strided stage: 32 pixels end as 4, where the original makes 7 of 224."""
    for conv in (network.conv_stem, network.blocks[1][0].conv_dw):
        conv.stride = (1, 1)
    return network


@BACKBONES.register
def cifar_mobilenet(activation: Activation = "relu") -> nn.Module:
    """MobileNet: depthwise and pointwise convolutions in turn.

    Source: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017,
    table 1.
    """
    return _unstride(from_timm("mobilenetv1_100", activation))


@BACKBONES.register
def cifar_mobilenet_v2(activation: Activation = "relu") -> nn.Module:
    """MobileNet v2: inverted residuals, a shortcut between narrow maps without activation; `relu` is the capped ReLU6.

    Source: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, table
    2.
    """
    return _unstride(from_timm("mobilenetv2_100", activation))
