"""Squeeze-and-excitation residual networks, timm's, with a 3x3 stem."""

from __future__ import annotations

from torch import nn

from recipe.components.cifar.backbone import Activation, variants
from recipe.components.cifar.resnet import small_resnet
from recipe.registry import Fraction


@variants("cifar_seresnet{}", 18, 34, 50, 101, 152)
def seresnet(depth: int, /, drop_path: Fraction = 0.0, activation: Activation = "relu") -> nn.Module:
    """ResNet whose blocks weigh their channels by a gate computed from their means.

    Source: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", 2018, section 3.
    """
    return small_resnet(f"seresnet{depth}", drop_path, activation)
