"""Inception-v3, v4, Inception-ResNet-v2 and Xception, timm's, with a stem that keeps height and width.

Inception's stem shrinks 299 pixels to 35; on 32 pixels its layers run at stride 1 with padding instead, so the modules
meet maps of the size they were drawn for: 32, 15 and 7 against 35, 17 and 8. No weight changes shape.
"""

from __future__ import annotations

from torch import nn

from recipe.components.cifar.backbone import BACKBONES, Activation, from_timm, same_size


@BACKBONES.register
def cifar_inception_v3(activation: Activation = "relu") -> nn.Module:
    """Inception-v3 with a stem for 32-pixel pictures, without the auxiliary classifier.

    Source: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception Architecture for Computer Vision", 2016,
    table 1.
    """
    network = from_timm("inception_v3", activation)
    network.Pool1, network.Pool2 = nn.Identity(), nn.Identity()
    same_size(network.Conv2d_1a_3x3, network.Conv2d_2a_3x3, network.Conv2d_4a_3x3)
    return network


@BACKBONES.register
def cifar_inception_v4(activation: Activation = "relu") -> nn.Module:
    """Inception-v4 with a stem for 32-pixel pictures.

    Source: Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning", 2017,
    figure 9.
    """
    network = from_timm("inception_v4", activation)
    same_size(*network.features[:6])
    return network


@BACKBONES.register
def cifar_inception_resnet_v2(activation: Activation = "relu") -> nn.Module:
    """Inception-ResNet-v2 with a stem for 32-pixel pictures.

    Source: Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning", 2017,
    figure 15.
    """
    network = from_timm("inception_resnet_v2", activation)
    network.maxpool_3a, network.maxpool_5a = nn.Identity(), nn.Identity()
    same_size(network.conv2d_1a, network.conv2d_2a, network.conv2d_4a)
    return network


@BACKBONES.register
def cifar_xception(activation: Activation = "relu") -> nn.Module:
    """Xception with a stem of stride 1: depthwise separable convolutions under residual shortcuts.

    Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2017, figure 5.
    """
    network = from_timm("legacy_xception", activation)
    same_size(network.conv1, network.conv2)
    return network
