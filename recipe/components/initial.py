"""How a network that starts from nothing is filled, and its activation: `kaiming`, `zero_gamma`, `replace_activation`.

On pretrained weights they would destroy what was learnt.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from protocol.language import tr


def kaiming(model: nn.Module) -> None:
    """Fills convolutions so that ReLU keeps the gradients' variance; norms become the identity, linear layers small.

    Convolutions: normal with deviation sqrt(2 / fan_out), fan_out per group. Linear layers: normal with deviation 0.01.
        Biases: 0.

    Source: He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", 2015, section 2.2.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            nn.init.normal_(module.weight, 0.0, (2.0 / _fan_out(module)) ** 0.5)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
        elif "norm" in type(module).__name__.lower() and isinstance(getattr(module, "weight", None), nn.Parameter):
            nn.init.ones_(module.weight)  # type: ignore[arg-type]
        else:
            continue
        if isinstance(module.bias, nn.Parameter):
            nn.init.zeros_(module.bias)


def _fan_out(conv: nn.Module) -> float:
    weight, groups = conv.weight, conv.groups
    return weight[0, 0].numel() * weight.shape[0] / groups  # type: ignore[index, union-attr, operator, return-value]


def zero_gamma(model: nn.Module) -> int:
    """Sets the last scale of each residual branch to 0: every block starts as the identity. Returns their number.

    Source: He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", 2019, section 3.1.

    Raises:
        ValueError: a network without residual blocks, or with blocks whose last scale is not known here.
    """
    blocks = [module for module in model.modules() if hasattr(module, "zero_init_last")]
    inverted = [last for module in model.modules() if (last := _last_norm(module)) is not None]
    for block in blocks:
        block.zero_init_last()  # type: ignore[operator]
    for norm in inverted:
        nn.init.zeros_(norm.weight)  # type: ignore[arg-type]
    if not blocks and not inverted:
        raise ValueError(
            tr(
                "{network} has no residual block whose last scale could start at 0; leave zero gamma out.",
                network=type(model).__name__,
            )
        )
    return len(blocks) + len(inverted)


def _last_norm(block: nn.Module) -> nn.Module | None:
    """The last norm of timm's EfficientNet and MobileNet blocks with a shortcut."""
    if not getattr(block, "has_skip", False):
        return None
    norms = [module for name, module in block.named_children() if name.startswith("bn")]
    return norms[-1] if norms else None


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
# Class names, for timm has its own of each; gates (Sigmoid, HardSigmoid) and learnt activations (PReLU) keep their
# part.
_REPLACED = {
    "ReLU",
    "ReLU6",
    "LeakyReLU",
    "ELU",
    "SELU",
    "CELU",
    "GELU",
    "GELUTanh",
    "QuickGELU",
    "SiLU",
    "Swish",
    "Mish",
}
_REPLACED |= {"Hardswish", "HardSwish", "SwishMe", "MishMe", "HardSwishMe", "HardMish", "HardMishMe"}


def replace_activation(model: nn.Module, name: str) -> int:
    """Puts the named activation in place of every hidden one, in any network; returns how many there were.

    Limit: a network's own activation leaves its answers as they are. Pretrained weights expect the activation they were
    trained with.

    Source: Ramachandran, Zoph, Le, "Searching for Activation Functions", 2017, section 5, for swapping it and nothing
    else.

    Raises:
        ValueError: an unknown name, or a network whose activations are not modules of their own.
    """
    if name not in ACTIVATIONS:
        raise ValueError(tr("unknown activation {name!r}; known: {known}.", name=name, known=", ".join(ACTIVATIONS)))
    found = [
        (parent, child)
        for parent in model.modules()
        for child, module in parent.named_children()
        if type(module).__name__ in _REPLACED
    ]
    if not found:
        raise ValueError(
            tr(
                "{network} has no activation module that could become {name}; leave the setting activation out.",
                network=type(model).__name__,
                name=name,
            )
        )
    for parent, child in found:
        setattr(parent, child, ACTIVATIONS[name]())
    return len(found)
