"""What computes frozen features: an exported network where it proves equal, whatever precision training takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recipe.config import Config
from recipe.models.classifier import build, preprocessing
from recipe.system.runtime import Runtime
from recipe.training.contender.features import Extractor

pytest.importorskip("onnx", reason="the exported features need onnx")


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_an_exported_network_computes_the_features_whatever_training_computes_in(precision: str) -> None:
    config = Config(backbone="tf_efficientnet_lite0", image_size=64, pretrained=False)
    model = build(config, 3)
    runtime = Runtime(torch.device("cpu"), precision, torch.channels_last)
    extractor = Extractor(model, preprocessing(model, config), runtime, "identity(), hflip()")
    assert extractor.how != "torch"
    shown = [np.random.default_rng(0).integers(0, 256, (73, 90, 3), np.uint8)]
    assert extractor(shown).shape == (2, 1, 1280)
