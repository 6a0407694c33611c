"""VGG with batch norm, timm's convolutions without the three large fully connected layers."""

from __future__ import annotations

from torch import nn

from recipe.components.cifar.backbone import Activation, from_timm, variants


@variants("cifar_vgg{}_bn", 11, 13, 16, 19)
def vgg(depth: int, /, activation: Activation = "relu") -> nn.Module:
    """VGG with batch norm; 32 pixels become one place with 512 channels, from which the head classifies at once.

    Source: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015, table 1.
    """
    network = from_timm(f"vgg{depth}_bn", activation)
    network.pre_logits, network.head_hidden_size = nn.Identity(), network.num_features
    return network
