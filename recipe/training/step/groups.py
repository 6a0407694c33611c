"""Parameter groups for an optimizer: which parameter learns at which rate and decays how much, and one fused step.

One kernel for the step of a whole optimizer, where torch has one, saves tens of launches per step on a GPU.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from recipe.components.optimizer_wrappers import chain


def param_groups(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    head_lr_scale: float = 1.0,
    no_decay_on_norm_and_bias: bool = True,
) -> list[dict[str, Any]]:
    """The trainable parameters of a model as groups for an optimizer; frozen ones are left out.

    A group holds `params, lr, lr_scale, weight_decay, name, kind`. `kind` is `norm` (vectors of normalisation layers),
    `bias` (other vectors, and what the backbone lists under `no_weight_decay`) or `weight`. The program sets `lr` to
    the schedule's rate times `lr_scale`. The head is what lies under `model.head`; its scale is `head_lr_scale`, that
    of a backbone layer is layer_decay ** (its distance to the head). Limit: layer_decay=1 and head_lr_scale=1 give
    every group the same rate.

    Source of the layer-wise decay: Clark et al., "ELECTRA", 2020, appendix A; of the exempt biases and norms: He et
    al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", 2019, section 3.1.

    Raises:
        ValueError: nothing in the model is trainable.
    """
    kinds = _kinds(model)
    layers = _layers(model) if layer_decay != 1.0 else {}
    depth = _depth(layers)
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        in_head, layer, kind = name.startswith("head."), layers.get(name, 0), kinds[name]
        key = f"{'head' if in_head else f'layer{layer}' if layers else 'backbone'}.{kind}"
        lr_scale = head_lr_scale if in_head else layer_decay ** (depth - layer)
        decay = 0.0 if no_decay_on_norm_and_bias and kind != "weight" else weight_decay
        group = {"lr": lr * lr_scale, "lr_scale": lr_scale, "weight_decay": decay, "name": key, "kind": kind}
        groups.setdefault(key, {"params": [], **group})["params"].append(parameter)
    if not groups:
        raise ValueError(
            "no parameter of the model is trainable: everything is frozen, so there is nothing for an optimizer to do."
        )
    return list(groups.values())


def layer_scales(backbone: nn.Module, layer_decay: float) -> dict[str, float]:
    """Parameter name of a backbone to the learning rate factor of its layer."""
    layers = _layers(backbone)
    return {name: layer_decay ** (_depth(layers) - layer) for name, layer in layers.items()}


def _depth(layers: dict[str, int]) -> int:
    return max(layers.values(), default=-1) + 1


def _kinds(model: nn.Module) -> dict[str, str]:
    """Parameter name to `norm`, `bias` or `weight`."""
    exempt = _no_weight_decay(model)
    kinds = {}
    for prefix, module in model.named_modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            name = f"{prefix}.{leaf}" if prefix else leaf
            # Every normalisation layer of torch and timm says so in its class name: BatchNormAct2d, LayerNorm2d,
            # RmsNorm, GroupNorm1.
            vector = parameter.ndim <= 1
            normalises = vector and "norm" in type(module).__name__.lower()
            kinds[name] = "norm" if normalises else "bias" if vector or name in exempt else "weight"
    return kinds


def _no_weight_decay(model: nn.Module) -> set[str]:
    """What timm's networks exempt by name, such as position embeddings."""
    parts: list[tuple[str, Any]] = [("", model), ("backbone.", getattr(model, "backbone", None))]
    return {
        prefix + name for prefix, part in parts if hasattr(part, "no_weight_decay") for name in part.no_weight_decay()
    }


def _layers(model: nn.Module) -> dict[str, int]:
    """Parameter name to the number of its layer, counted from the picture; the head has none."""
    backbone: Any = getattr(model, "backbone", model)
    prefix = "" if backbone is model else "backbone."
    if hasattr(backbone, "group_matcher"):
        from timm.models import group_parameters

        numbers = group_parameters(backbone, backbone.group_matcher(coarse=False), reverse=True)
        return {prefix + name: int(number) for name, number in numbers.items()}
    order: dict[str, int] = {}
    names = [name for name, _ in backbone.named_parameters() if not (prefix + name).startswith("head.")]
    return {prefix + name: order.setdefault(_block(name), len(order)) for name in names}


def _block(name: str) -> str:
    """A parameter's block, its path down to the first numbers: `stages.2.0` of `stages.2.0.conv1.weight`."""
    parts = name.split(".")[:-1]
    numbered = next((i for i, part in enumerate(parts) if part.isdigit()), None)
    if numbered is None:
        return parts[0] if parts else name
    end = numbered + 1
    while end < len(parts) and parts[end].isdigit():
        end += 1
    return ".".join(parts[:end])


FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad)


def fuse(optimizer: torch.optim.Optimizer, devices: Collection[str] = ("cuda",)) -> bool:
    """Fuses the innermost optimizer's step if torch can and all its weights are floats there; returns whether.

    The same arithmetic in another order of rounding. Must come before the first step. This project's GPU path was
    written without a GPU at hand; torch fuses on a CPU too, which is how it is tested.
    """
    base = chain(optimizer)[-1]
    weights = [weight for group in base.param_groups for weight in group["params"]]
    if type(base) not in FUSED or not all(
        weight.device.type in devices and weight.is_floating_point() for weight in weights
    ):
        return False
    for group in [base.defaults, *base.param_groups]:
        group["fused"], group["foreach"] = True, False
    return True
