"""ShuffleNet v2, torchvision's stages behind a 3x3 stem of stride 1."""

from __future__ import annotations

from torch import nn

from recipe.components.cifar.backbone import BACKBONES, Activation, Backbone, small_stem
from recipe.components.initial import replace_activation


@BACKBONES.register
def cifar_shufflenet_v2(activation: Activation = "relu") -> nn.Module:
    """ShuffleNet v2, width 1.0: half of the channels pass by, then all are shuffled.

    Source: Ma, Zhang, Zheng, Sun, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", 2018,
    table 5.
    """
    from recipe.system import torchvision_guard  # noqa: F401, I001  (before torchvision)
    from torchvision.models import shufflenet_v2_x1_0

    net = shufflenet_v2_x1_0(weights=None)
    stem = nn.Sequential(small_stem(net.conv1[0]), *net.conv1[1:])
    network = Backbone(nn.Sequential(stem, *net.stage2, *net.stage3, *net.stage4, net.conv5), 1024)
    replace_activation(network, activation)
    return network
