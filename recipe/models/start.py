"""A network at its start, and what its pictures need: known before any picture is decoded."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from recipe.components.families import check_components
from recipe.components.losses import LOSSES, check_head
from recipe.config import Config
from recipe.models.classifier import Classifier, build, preprocessing, take_weights
from recipe.models.weights import Fetch
from recipe.pictures.preprocessing import Preprocessing


@dataclass(frozen=True)
class Start:
    """A model and what it was started from."""

    config: Config
    model: Classifier
    preprocessing: Preprocessing
    origin: str  # where the weights came from


def start(config: Config, classes: int, fetch: Fetch | None = None) -> Start:
    """Builds the network and finds its weights.

    Raises:
        ConfigError, SpecError: a setting that cannot be used.
        WeightsError: pretrained weights cannot be reached.
    """
    check_components(config)
    torch.manual_seed(config.seed)
    model = build(config, classes)
    check_head(LOSSES.build(config.loss, torch.ones(classes)), getattr(model.head.classifier, "scale", None))
    return Start(config, model, preprocessing(model, config), take_weights(model, config, fetch))
