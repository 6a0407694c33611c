"""Residual networks of timm's (plain, pre-activation, grouped, with squeeze-and-excitation) with a 3x3 stem: the first
convolution has stride 1 and no pooling follows.

ResNet-B, C and D need no names here. In timm, `resnet50` is ResNet-B (its bottlenecks stride in the 3x3 convolution, as
torchvision's do), `resnet50c` has the deep stem as well (C), and `resnet50d` also pools before the projection (D): the
variants of He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", 2019, section 4.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from recipe.components.cifar.backbone import Activation, from_timm, small_stem, variants
from recipe.registry import Fraction


def small_resnet(name: str, drop_path: float, activation: Activation, **settings: Any) -> Any:
    """A network of timm's ResNet class with the 3x3 stem. Zero gamma, timm's default, is left to `init.zero_gamma`."""
    network = from_timm(name, activation, drop_path_rate=drop_path, zero_init_last=False, **settings)
    network.conv1, network.maxpool = small_stem(network.conv1), nn.Identity()
    return network


@variants("cifar_resnet{}", 18, 34, 50, 101, 152)
def resnet(depth: int, /, drop_path: Fraction = 0.0, activation: Activation = "relu") -> nn.Module:
    """ResNet with the 3x3 stem for 32-pixel pictures.

    Limit: drop_path=0 keeps every block.
    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2016, table 1.
    """
    return small_resnet(f"resnet{depth}", drop_path, activation)


@variants("cifar_stochasticdepth{}", 18, 34, 50, 101, 152)
def stochastic_depth(depth: int, /, drop_path: Fraction = 0.5, activation: Activation = "relu") -> nn.Module:
    """ResNet with blocks left out at random in training, the last with probability `drop_path`, earlier ones less.

    Per picture rather than per batch, and scaled in training rather than at test: the same in expectation.

    Limit: drop_path=0 is the ResNet of that depth.
    Source: Huang, Sun, Liu, Sedra, Weinberger, "Deep Networks with Stochastic Depth", 2016, section 3.
    """
    return small_resnet(f"resnet{depth}", drop_path, activation)


@variants("cifar_preactresnet{}", 18, 34, 50, 101, 152)
def preactresnet(depth: int, /, drop_path: Fraction = 0.0, activation: Activation = "relu") -> nn.Module:
    """ResNet with norm and activation before each convolution, so that the shortcut stays an identity.

    Source: He, Zhang, Ren, Sun, "Identity Mappings in Deep Residual Networks", 2016, section 3.
    """
    network = from_timm(f"resnetv2_{depth}", activation, drop_path_rate=drop_path)
    network.stem.conv, network.stem.pool = small_stem(network.stem.conv), nn.Identity()
    return network


@variants("cifar_resnext{}", 50, 101, 152)
def resnext(depth: int, /, drop_path: Fraction = 0.0, activation: Activation = "relu") -> nn.Module:
    """ResNet whose 3x3 convolutions are split into 32 groups, 4 wide in the first stage.

    Source: Xie, Girshick, Dollar, Tu, He, "Aggregated Residual Transformations for Deep Neural Networks", 2017, table
    1.
    """
    return small_resnet(f"resnet{depth}", drop_path, activation, cardinality=32, base_width=4)


@variants("cifar_seresnet{}", 18, 34, 50, 101, 152)
def seresnet(depth: int, /, drop_path: Fraction = 0.0, activation: Activation = "relu") -> nn.Module:
    """ResNet whose blocks weigh their channels by a gate computed from their means.

    Source: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", 2018, section 3.
    """
    return small_resnet(f"seresnet{depth}", drop_path, activation)
