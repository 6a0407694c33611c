"""ResNeXt 32x4d, timm's, with a 3x3 stem."""

from __future__ import annotations

from torch import nn

from recipe.components.cifar.backbone import Activation, variants
from recipe.components.cifar.resnet import small_resnet
from recipe.registry import Fraction


@variants("cifar_resnext{}", 50, 101, 152)
def resnext(depth: int, /, drop_path: Fraction = 0.0, activation: Activation = "relu") -> nn.Module:
    """ResNet whose 3x3 convolutions are split into 32 groups, 4 wide in the first stage.

    Source: Xie, Girshick, Dollar, Tu, He, "Aggregated Residual Transformations for Deep Neural Networks", 2017, table
    1.
    """
    return small_resnet(f"resnet{depth}", drop_path, activation, cardinality=32, base_width=4)
