"""BatchNorm done on the weights in training: equal losses and gradients, names kept, copies on their own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from recipe.config import Config
from recipe.models.classifier import build
from recipe.models.folded_batch_norm import fold_batch_norm
from recipe.training.step.batch_norm import training_mode
from tests.models.test_fuse import with_statistics

BACKBONES = {"tf_efficientnet_lite0": 49, "resnet10t": 14, "mobilenetv2_035": 52, "resnet18": 20, "convnext_atto": 0}


def network(backbone: str) -> nn.Module:
    model = build(Config(backbone=backbone, image_size=32, pretrained=False), 3)
    return with_statistics(model)


def gradients(model: nn.Module, frozen: bool) -> tuple[float, dict[str, torch.Tensor]]:
    training_mode(model, frozen)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    loss = nn.functional.cross_entropy(model(images), torch.tensor([0, 1, 2, 1]))
    loss.backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    return float(loss.detach()), found


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_loss_and_every_gradient_are_those_of_the_network(backbone: str, frozen: bool) -> None:
    model = network(backbone)
    folded = copy.deepcopy(model)
    assert fold_batch_norm(folded, 32) == BACKBONES[backbone]
    (loss, expected), (got, found) = gradients(model, frozen), gradients(folded, frozen)
    assert got == pytest.approx(loss, rel=1e-4)
    assert list(found) == list(expected)
    scale = max(float(gradient.abs().max()) for gradient in expected.values())
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5 * scale, msg=name)


def test_names_and_answers_stay() -> None:
    model = network("tf_efficientnet_lite0")
    folded = copy.deepcopy(model)
    fold_batch_norm(folded, 32)
    assert list(folded.state_dict()) == list(model.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(folded.eval()(images), model.eval()(images), rtol=1e-4, atol=1e-4)


def test_a_copy_reads_its_own_normalisations() -> None:
    model = network("tf_efficientnet_lite0")
    fold_batch_norm(model, 32)
    other, images = copy.deepcopy(model), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        before = other(images)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.zero_()
        torch.testing.assert_close(other(images), before, rtol=0, atol=0)


def test_a_fixed_input_layer_needs_no_gradient() -> None:
    model = network("tf_efficientnet_lite0")
    expected = copy.deepcopy(model)
    fold_batch_norm(model, 32)
    for other in (model, expected):
        other.backbone.conv_stem.requires_grad_(False)
        other.backbone.bn1.requires_grad_(False)
        training_mode(other, True)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model(images), expected(images), rtol=1e-4, atol=1e-4)
