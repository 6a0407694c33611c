"""Pre-activation residual networks, timm's, with a 3x3 stem."""

from __future__ import annotations

from torch import nn

from recipe.components.cifar.backbone import Activation, from_timm, small_stem, variants
from recipe.registry import Fraction


@variants("cifar_preactresnet{}", 18, 34, 50, 101, 152)
def preactresnet(depth: int, /, drop_path: Fraction = 0.0, activation: Activation = "relu") -> nn.Module:
    """ResNet with norm and activation before each convolution, so that the shortcut stays an identity.

    Source: He, Zhang, Ren, Sun, "Identity Mappings in Deep Residual Networks", 2016, section 3.
    """
    network = from_timm(f"resnetv2_{depth}", activation, drop_path_rate=drop_path)
    network.stem.conv, network.stem.pool = small_stem(network.stem.conv), nn.Identity()
    return network
