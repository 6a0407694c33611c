"""A classifier: a backbone that makes features and a head that makes logits.

`build` makes one from settings; a checkpoint keeps the settings, so it can build its own again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from protocol.language import tr
from protocol.nearest import nearest
from protocol.strict import ConfigError
from recipe.components.cifar import BACKBONES
from recipe.components.heads import HEADS
from recipe.components.initial import kaiming, replace_activation, zero_gamma
from recipe.config import Config
from recipe.models.weights import Fetch, load_pretrained
from recipe.pictures.preprocessing import Preprocessing
from recipe.proposal import proposed
from recipe.registry import parse
from recipe.system import torchvision_guard  # noqa: F401  (before timm)


class Classifier(nn.Module):
    """Pictures (B,3,H,W), normalised, to logits (B,K)."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """What the head takes: the feature map (B,C,h,w) for a spatial head, else pooled features (B,C)."""
        features = self.backbone.forward_features(images)  # type: ignore[operator]
        return features if self.head.spatial else self.backbone.forward_head(features, pre_logits=True)  # type: ignore[operator]

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Penultimate features (B,D): the input of the head's classifier."""
        return self.head.embed(self.features(images))  # type: ignore[operator]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images))


def build(config: Config, classes: int) -> Classifier:
    """An untrained classifier for K classes; fill it with `start` or a checkpoint.

    Raises:
        ConfigError: an unknown backbone, or a head that does not go with it.
    """
    backbone = _backbone(config)
    pooled = getattr(backbone, "head_hidden_size", None) or backbone.num_features  # MobileNetV3 widens after pooling
    spatial = HEADS[parse(config.head).name].spatial
    head = HEADS.build(config.head, backbone.num_features if spatial else pooled, classes)
    if config.grad_checkpoint:
        _checkpoint_gradients(backbone, config.backbone)
    if config.activation:
        replace_activation(backbone, config.activation)
    model = Classifier(backbone, head)
    if head.spatial:
        _check_feature_map(model, config)
    return model


def own_backbone(config: Config) -> bool:
    """Whether the backbone is one of this project's rather than timm's (whose names may hold dots)."""
    return config.backbone.split("(")[0].strip() in BACKBONES


def _own(config: Config) -> Any:
    spec = parse(config.backbone)
    if config.drop_path:
        if "drop_path" not in BACKBONES.settings(spec.name) or "drop_path" in spec.kwargs:
            raise ConfigError(
                tr(
                    "drop_path: {drop_path} does not go with backbone {backbone!r}; set drop_path: 0.",
                    drop_path=config.drop_path,
                    backbone=config.backbone,
                )
            )
        spec = replace(spec, kwargs=spec.kwargs | {"drop_path": config.drop_path})
    return BACKBONES.build(spec)


def _backbone(config: Config) -> Any:
    import timm

    if own_backbone(config):
        return _own(config)
    if not timm.is_model(config.backbone):
        known = [*BACKBONES, *timm.list_models(), *timm.list_pretrained()]
        raise ConfigError(
            tr(
                "unknown backbone {backbone!r}.{nearest} `{proposed}` lists all.",
                backbone=config.backbone,
                nearest=nearest(config.backbone, known),
                proposed=proposed("names", family="backbone"),
            )
        )
    settings: dict[str, Any] = {"drop_path_rate": config.drop_path} if config.drop_path else {}
    try:
        return timm.create_model(config.backbone, pretrained=False, num_classes=0, **settings)
    except TypeError as error:
        raise ConfigError(
            tr(
                "backbone {backbone!r} does not take drop_path: {error}. Set drop_path: 0.",
                backbone=config.backbone,
                error=error,
            )
        ) from None
    except RuntimeError as error:
        raise ConfigError(
            tr("unknown backbone {backbone!r}: {error}.", backbone=config.backbone, error=error)
        ) from None


def timm_names() -> list[str]:
    """Every timm name with published weights, tag included."""
    import timm

    return timm.list_pretrained()


def _checkpoint_gradients(backbone: Any, name: str) -> None:
    if not hasattr(backbone, "set_grad_checkpointing"):
        raise ConfigError(tr("backbone {name!r} cannot recompute activations; set grad_checkpoint: false.", name=name))
    backbone.set_grad_checkpointing(True)


@torch.no_grad()
def _check_feature_map(model: Classifier, config: Config) -> None:
    side = max(64, config.image_size) if config.image_size < 64 else config.image_size
    shape = tuple(model.eval().features(torch.zeros(1, 3, side, side)).shape)
    if len(shape) != 4:
        raise ConfigError(
            tr(
                "head {head!r} needs a feature map, but backbone {backbone!r} gives tokens {shape}; use head linear().",
                head=config.head,
                backbone=config.backbone,
                shape=shape,
            )
        )


def take_weights(model: Classifier, config: Config, fetch: Fetch | None = None) -> str:
    """Pretrained weights into the backbone, or the random start; returns where the weights came from.

    Raises:
        WeightsError: pretrained weights cannot be reached.
    """
    if not config.pretrained:
        return _random_start(model, config)
    if own_backbone(config):
        raise ConfigError(
            tr("backbone {backbone!r} has no pretrained weights; set pretrained: false.", backbone=config.backbone)
        )
    return load_pretrained(model.backbone, config.backbone, config.weights, fetch)


def _random_start(model: Classifier, config: Config) -> str:
    done = ["random"]
    try:
        if config.init == "kaiming":
            kaiming(model)
            done.append(tr("Kaiming initialisation"))
        if config.zero_gamma:
            done.append(tr("zero gamma in {zero_gamma} blocks", zero_gamma=zero_gamma(model.backbone)))
    except ValueError as error:
        raise ConfigError(tr("zero_gamma: {error}", error=error)) from None
    return ", ".join(done)


def preprocessing(model: Classifier, config: Config) -> Preprocessing:
    """How pictures are prepared at validation and prediction; mean, deviation and crop come with the weights."""
    published = getattr(model.backbone, "pretrained_cfg", None) or {}
    mean, std = published.get("mean", (0.485, 0.456, 0.406)), published.get("std", (0.229, 0.224, 0.225))
    crop_pct = config.crop_pct or (published.get("crop_pct", 1.0) if config.evaluation_size >= 64 else 1.0)
    return Preprocessing(config.evaluation_size, crop_pct, tuple(mean), tuple(std))
