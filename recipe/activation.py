"""Activations by name, and putting another one into a network that is already built."""

from __future__ import annotations

from typing import Literal

from torch import nn

Activation = Literal["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "hardswish"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
}
# Class names, for timm has its own of each; gates (Sigmoid, HardSigmoid) and learnt activations (PReLU) keep their part.
_REPLACED = {"ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "CELU", "GELU", "GELUTanh", "QuickGELU", "SiLU", "Swish", "Mish"}
_REPLACED |= {"Hardswish", "HardSwish", "SwishMe", "MishMe", "HardSwishMe", "HardMish", "HardMishMe"}


def replace_activation(model: nn.Module, name: str) -> int:
    """Puts the named activation in place of every hidden one, in any network of this project or timm; returns how many there were.

    Limit: a network's own activation leaves its answers as they are. Pretrained weights expect the activation they were trained with.

    Source: Ramachandran, Zoph, Le, "Searching for Activation Functions", 2017, section 5, for swapping it and nothing else.

    Raises:
        ValueError: an unknown name, or a network whose activations are not modules of their own.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; known: {', '.join(ACTIVATIONS)}.")
    found = [
        (parent, child) for parent in model.modules() for child, module in parent.named_children() if type(module).__name__ in _REPLACED
    ]
    if not found:
        raise ValueError(f"{type(model).__name__} has no activation module that could become {name}; leave the setting activation out.")
    for parent, child in found:
        setattr(parent, child, ACTIVATIONS[name]())
    return len(found)
