"""Densely connected networks, timm's, with a 3x3 stem."""

from __future__ import annotations

from torch import nn

from recipe.components.cifar.backbone import Activation, from_timm, small_stem, variants


@variants("cifar_densenet{}", 121, 161, 169, 201)
def densenet(depth: int, /, activation: Activation = "relu") -> nn.Module:
    """DenseNet-BC with 3x3 stem: every layer sees the features of all earlier ones in its block.

    Source: Huang, Liu, van der Maaten, Weinberger, "Densely Connected Convolutional Networks", 2017, table 1.
    """
    network = from_timm(f"densenet{depth}", activation)
    network.features.conv0, network.features.pool0 = small_stem(network.features.conv0), nn.Identity()
    return network
