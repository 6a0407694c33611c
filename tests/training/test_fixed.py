"""What stays as it is in training, and what it leaves of the rest."""

from __future__ import annotations

import torch
from torch import nn

from recipe.config import Config
from recipe.models.classifier import Classifier, build
from recipe.training.stages import stage_of
from recipe.training.step.fixed import lighten
from recipe.training.step.groups import layer_scales

LITE = Config(backbone="tf_efficientnet_lite0", image_size=32, pretrained=False, batch_norm="frozen", layer_decay=0.75)
CPU = torch.device("cpu")


def fixed(config: Config) -> tuple[Classifier, set[str]]:
    """The network of the settings as its second stage begins, and the names that do not learn."""
    model = build(config, 3)
    lighten(model, config, CPU)
    stage_of(0, 5, 10, model, config, 5)
    stage_of(5, 5, 10, model, config, 5)
    return model, {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def test_without_the_settings_everything_learns_again_after_the_frozen_epochs() -> None:
    assert fixed(LITE)[1] == set()


def test_layers_of_a_smaller_factor_are_fixed_and_no_others() -> None:
    model, names = fixed(LITE.model_copy(update={"least_lr_scale": 0.1}))
    scales = layer_scales(model.backbone, 0.75)
    assert names == {f"backbone.{name}" for name, scale in scales.items() if scale < 0.1}
    assert 0 < len(names) < len(scales)
    assert fixed(LITE.model_copy(update={"least_lr_scale": 0.1, "layer_decay": 1.0}))[1] == set()


def test_wide_depthwise_kernels_are_fixed_with_the_normalisation_after_them() -> None:
    model, names = fixed(LITE.model_copy(update={"fixed_depthwise": 5}))
    depthwise = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups > 1 and module.kernel_size == (5, 5)
    }
    assert depthwise <= names
    assert {name for name in names if "bn" not in name} == depthwise
    assert len(names) == 3 * len(depthwise)


def test_a_step_moves_only_what_is_not_fixed() -> None:
    config = LITE.model_copy(update={"fixed_depthwise": 5, "least_lr_scale": 0.1, "optimizer": "adamw()"})
    model, names = fixed(config)
    stage = stage_of(5, 5, 10, model, config, 5)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    model.eval()(torch.randn(2, 3, 32, 32)).square().mean().backward()
    stage.optimizer.step()
    stayed = {name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])}
    assert names <= stayed
    assert len(stayed - names) < 5
