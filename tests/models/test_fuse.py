"""BatchNorm folded into convolutions: equal outputs, and what cannot be folded is left alone."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from recipe.config import Config
from recipe.models.classifier import build
from recipe.models.merged_batch_norm import merge_batch_norm


def with_statistics(model: nn.Module) -> nn.Module:
    """Norms as after training: each channel its own mean, variance, scale and shift."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.3)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def relative_difference(model: nn.Module, other: nn.Module, size: int) -> float:
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = model(images)
        return float((other(images) - expected).abs().max() / expected.abs().max().clamp_min(1))


@pytest.mark.parametrize(
    ("backbone", "size", "left"),
    [
        ("test_efficientnet", 32, 0),
        ("tf_efficientnet_lite0", 64, 0),
        ("resnet18", 64, 0),
        ("cifar_resnet18", 32, 0),
        ("mobilenetv2_035", 32, 0),
        (
            "cifar_densenet121",
            32,
            62,
        ),  # of 121; those that take concatenated maps stay: 58 in layers, 3 in transitions, the last
    ],
)
def test_outputs_are_equal(backbone, size, left):
    model = with_statistics(build(Config(backbone=backbone, pretrained=False, image_size=size), 5))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    folded = merge_batch_norm(model, size)
    assert norms(model) > 0
    assert norms(folded) == left
    assert relative_difference(model, folded, size) < 1e-5
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("backbone", ["cifar_preactresnet18", "cifar_seresnet18", "cifar_shufflenet_v2"])
def test_other_families_keep_their_answers(backbone):
    model = with_statistics(build(Config(backbone=backbone, pretrained=False, image_size=32), 5))
    assert relative_difference(model, merge_batch_norm(model, 32), 32) < 1e-5


@pytest.mark.parametrize("backbone", ["test_vit", "test_convnext"])
def test_nets_without_batch_norm_are_returned_as_they_are(backbone):
    model = build(Config(backbone=backbone, pretrained=False, image_size=160), 5)
    assert merge_batch_norm(model, 160) is model


class Shared(nn.Module):
    """A convolution whose result is used twice, one that is called twice, and one that is free."""

    def __init__(self) -> None:
        super().__init__()
        self.branching, self.repeated, self.free = (
            nn.Conv2d(3, 3, 1),
            nn.Conv2d(3, 3, 1),
            nn.Conv2d(3, 4, 1, bias=False),
        )
        self.norms = nn.ModuleList(
            [nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.BatchNorm2d(4, affine=False)]
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        branch = self.branching(images)
        images = self.norms[0](branch) + branch
        images = self.norms[1](self.repeated(images))
        images = self.norms[2](self.repeated(images))
        return self.norms[3](self.free(images)).mean((2, 3))


def test_only_a_convolution_whose_result_goes_nowhere_else_is_folded():
    model = with_statistics(Shared())
    folded = merge_batch_norm(model, 8)
    assert [type(norm) for norm in folded.norms] == [nn.BatchNorm2d] * 3 + [nn.Identity]
    assert relative_difference(model, folded, 8) < 1e-6


class Standardised(nn.Conv2d):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(images, self.weight / self.weight.std(), self.bias)


def test_a_standardised_weight_is_not_folded():
    model = with_statistics(nn.Sequential(Standardised(3, 4, 1), nn.BatchNorm2d(4)))
    assert norms(merge_batch_norm(model, 8)) == 1


class Drifting(nn.Module):
    """Answers otherwise without its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.convolution(images)) + (1.0 if isinstance(self.norm, nn.BatchNorm2d) else 0.0)


def test_a_difference_is_logged_and_the_model_stays(caplog):
    model = with_statistics(Drifting())
    with caplog.at_level(logging.WARNING):
        assert merge_batch_norm(model, 8) is model
    assert "would change the outputs" in caplog.text


class Choosy(nn.Module):
    """Takes pictures of 80 pixels alone."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape[-1] != 80:
            raise ValueError(f"80 pixels, not {images.shape[-1]}")
        return self.norm(self.convolution(images))


def test_a_network_that_refuses_the_size_stays(caplog):
    model = Choosy()
    with caplog.at_level(logging.INFO):
        assert merge_batch_norm(model, 80) is model
    assert "could not be followed (80 pixels, not 64)" in caplog.text


def test_mixed_training_modes_end_in_evaluation():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    assert not any(module.training for module in merge_batch_norm(model, 8).modules())
