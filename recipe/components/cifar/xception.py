"""Xception, timm's, with a stem of stride 1."""

from __future__ import annotations

from torch import nn

from recipe.components.cifar.backbone import BACKBONES, Activation, from_timm, same_size


@BACKBONES.register
def cifar_xception(activation: Activation = "relu") -> nn.Module:
    """Xception with a stem of stride 1: depthwise separable convolutions under residual shortcuts.

    Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2017, figure 5.
    """
    network = from_timm("legacy_xception", activation)
    same_size(network.conv1, network.conv2)
    return network
