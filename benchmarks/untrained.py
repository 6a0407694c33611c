"""Run folders with untrained networks: for speed and equality, where what they answer does not matter."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from recipe.config import Config
from recipe.models.classifier import build, preprocessing
from recipe.runs.checkpoint import save_checkpoint
from recipe.runs.description import Description
from recipe.serving.export import export_run

CLASSES = 10


def untrained_run(folder: Path, backbone: str, size: int, folds: int, formats: tuple[str, ...] = ("onnx",)) -> Path:
    """An exported run folder whose folds differ and whose norms have statistics: folding them is not trivial."""
    config = Config(backbone=backbone, pretrained=False, image_size=size, views="identity()")
    for fold in range(folds):
        torch.manual_seed(fold)
        model = build(config, CLASSES).eval()
        for norm in (
            module
            for module in model.modules()
            if isinstance(module, nn.BatchNorm2d) and module.running_var is not None
        ):
            norm.running_var.uniform_(0.5, 2)
        description = Description(
            config, tuple(range(CLASSES)), (1 / CLASSES,) * CLASSES, preprocessing(model, config), fold, 1, 0.0
        )
        save_checkpoint(folder / f"fold{fold}", model.state_dict(), description)
    for fmt in formats:
        export_run(folder, fmt)
    return folder
