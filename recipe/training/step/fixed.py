"""What stays as it is while the rest of a network learns, since its gradient costs more than it brings.

Under a layer-wise decay the layers next to the picture hardly move, and their maps are the largest; and a wide
depthwise kernel's gradient costs a CPU ten times what its result does. Without both, a step of EfficientNet-Lite0 takes
half of the time, and a run of equal time ends better (docs/measured.md).
"""

from __future__ import annotations

import torch
from torch import nn

from recipe.config import Config
from recipe.models.folded_batch_norm import fold_batch_norm
from recipe.training.step.groups import layer_scales


def fix(backbone: nn.Module, config: Config) -> None:
    """Fixes what the settings leave as it is: layers of a small rate, and depthwise kernels with what follows them.

    Limit: `least_lr_scale` 0 and `fixed_depthwise` 0 fix nothing.
    """
    if config.least_lr_scale:
        scales = layer_scales(backbone, config.layer_decay)
        for name, parameter in backbone.named_parameters():
            if scales[name] < config.least_lr_scale:
                parameter.requires_grad_(False)
    if config.fixed_depthwise:
        for convolution in (module for module in backbone.modules() if _depthwise(module, config.fixed_depthwise)):
            convolution.requires_grad_(False)
            for norm in getattr(convolution, "taken_in", ()):
                norm.requires_grad_(False)


def _depthwise(module: nn.Module, side: int) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1 and max(module.kernel_size) >= side


def folds_batch_norm(config: Config, device: torch.device) -> bool:
    """Whether convolutions do the work of BatchNorm in training: on a CPU, where its statistics stand."""
    return device.type == "cpu" and config.freezes_batch_norm and not config.compile and not config.grad_checkpoint


def lighten(model: nn.Module, config: Config, device: torch.device) -> None:
    """The network as it trains, in place: BatchNorm done on weights where that can be, and what is fixed, fixed.

    Args:
        model: with a `backbone`; on the CPU still.
        device: where it will train.
    """
    if folds_batch_norm(config, device):
        fold_batch_norm(model, config.image_size)
    fix(model.backbone, config)  # type: ignore[arg-type]
