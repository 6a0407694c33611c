"""Backbones for 32-pixel pictures, one family per file, registered in BACKBONES under names that start with `cifar_`.

The prefix keeps them apart from timm's networks of the same family: `resnet50` is timm's, with its strided stem and
pretrained weights; `cifar_resnet50` is the network that the CIFAR literature trains, with a 3x3 stem and no weights to
load.
"""

# ruff: noqa: F401  (importing a family is what registers its networks)
from recipe.components.cifar import (
    attention,
    densenet,
    googlenet,
    inception,
    mobilenet,
    nasnet,
    resnet,
    resnet_in_resnet,
    shufflenet,
    squeezenet,
    vgg,
    wideresnet,
)
from recipe.components.cifar.backbone import BACKBONES

__all__ = ["BACKBONES"]
