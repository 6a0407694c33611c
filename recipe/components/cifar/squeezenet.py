"""SqueezeNet 1.0, torchvision's fire modules behind a 3x3 stem."""

from __future__ import annotations

from typing import Any

from torch import nn

from recipe.components.cifar.backbone import BACKBONES, Activation, Backbone, small_stem
from recipe.components.initial import replace_activation


@BACKBONES.register
def cifar_squeezenet(activation: Activation = "relu") -> nn.Module:
    """SqueezeNet: 1x1 convolutions squeeze, 1x1 and 3x3 ones expand.

    Source: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", 2016,
    table 1.
    """
    from recipe.system import torchvision_guard  # noqa: F401, I001  (before torchvision)
    from torchvision.models import squeezenet1_0

    layers: Any = squeezenet1_0(weights=None).features
    network = Backbone(nn.Sequential(small_stem(layers[0]), layers[1], *layers[3:]), 512)
    replace_activation(network, activation)
    return network
