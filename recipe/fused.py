"""One kernel for the step of a whole optimizer, where torch has one: tens of launches less per step on a GPU."""

from __future__ import annotations

from collections.abc import Collection

import torch

from recipe.wrapper import chain

FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad)


def fuse(optimizer: torch.optim.Optimizer, devices: Collection[str] = ("cuda",)) -> bool:
    """Fuses the step of the innermost optimizer if torch can, and all its weights are floats on such a device; returns whether it does.

    The same arithmetic in another order of rounding. Must come before the first step. This project's GPU path was written without a GPU
    at hand; torch fuses on a CPU too, which is how it is tested.
    """
    base = chain(optimizer)[-1]
    weights = [weight for group in base.param_groups for weight in group["params"]]
    if type(base) not in FUSED or not all(weight.device.type in devices and weight.is_floating_point() for weight in weights):
        return False
    for group in [base.defaults, *base.param_groups]:
        group["fused"], group["foreach"] = True, False
    return True
