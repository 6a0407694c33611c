"""What the networks for 32-pixel pictures share: the registry, the base class and the small stem."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from recipe.components.initial import Activation, kaiming, replace_activation
from recipe.registry import Registry

__all__ = ["BACKBONES", "Activation", "Backbone", "from_timm", "same_size", "small_stem", "variants"]

BACKBONES = Registry("backbone", "nothing; every name of timm is a backbone too")

# Mean and deviation of CIFAR-100's training pictures, RGB in [0, 1]; timm keeps such figures under this name and these
# keys.
CIFAR100 = {
    "input_size": (3, 32, 32),
    "mean": (0.5071, 0.4865, 0.4409),
    "std": (0.2673, 0.2564, 0.2762),
    "crop_pct": 1.0,
}


class Backbone(nn.Module):
    """Layers from (B,3,H,W), H and W >= 32, to a feature map (B,C,h,w); the methods are those of timm's networks."""

    input_size = 32
    pretrained_cfg = CIFAR100

    def __init__(self, layers: nn.Sequential, num_features: int) -> None:
        super().__init__()
        self.layers, self.num_features = layers, num_features
        self.recompute = False
        kaiming(self)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Whether the backward pass computes each layer's activations again instead of keeping them."""
        self.recompute = enable

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """(B,3,H,W) to (B,C,h,w)."""
        features = images
        for layer in self.layers:
            recompute = self.recompute and self.training and torch.is_grad_enabled()
            features = checkpoint(layer, features, use_reentrant=False) if recompute else layer(features)
        return features

    def forward_head(self, features: torch.Tensor, pre_logits: bool = True) -> torch.Tensor:
        """(B,C,h,w) to its mean over places (B,C)."""
        return features.mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Pooled features (B,C)."""
        return self.forward_head(self.forward_features(images))


def variants(template: str, *sizes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: files one function once per size, which it gets first: cifar_resnet18, cifar_resnet34 and so on."""

    def decorate(build: Callable[..., Any]) -> Callable[..., Any]:
        for size in sizes:
            BACKBONES.register(_bound(build, size), name=template.format(size))
        return build

    return decorate


def _bound(build: Callable[..., Any], size: Any) -> Callable[..., Any]:
    @functools.wraps(build)  # keeps the settings and the docstring readable for the registry
    def component(*args: Any, **kwargs: Any) -> Any:
        return build(size, *args, **kwargs)

    return component


def from_timm(name: str, activation: Activation = "relu", **settings: Any) -> Any:
    """A network of timm without classifier, with this package's activation and statistics."""
    from recipe.system import torchvision_guard  # noqa: F401, I001  (before timm)
    import timm

    network: Any = timm.create_model(name, pretrained=False, num_classes=0, **settings)
    network.input_size, network.pretrained_cfg = 32, CIFAR100
    if activation != "relu":
        replace_activation(network, activation)
    return network


def small_stem(conv: nn.Module, kernel_size: int = 3) -> nn.Conv2d:
    """A stride-1 convolution, 3x3 unless told, with the channels of the strided one it replaces."""
    assert isinstance(conv, nn.Conv2d)  # narrows the type of a module's attribute
    small = nn.Conv2d(
        conv.in_channels, conv.out_channels, kernel_size, padding=kernel_size // 2, bias=conv.bias is not None
    )
    kaiming(small)
    return small


def same_size(*parts: nn.Module) -> None:
    """Makes convolutions and poolings inside keep height and width: stride 1, half the kernel as padding."""
    for part in parts:
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d):
                layer.stride, layer.padding = (1, 1), (layer.kernel_size[0] // 2, layer.kernel_size[1] // 2)
            elif isinstance(layer, nn.MaxPool2d):
                layer.stride, layer.padding = 1, layer.kernel_size // 2  # type: ignore[operator]
