"""Parameters and work of networks against published figures. Networks are built on the meta device: nothing is
computed.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recipe.models.counting import Cost, cost, parameters
from recipe.system import torchvision_guard  # noqa: F401  (before timm)

# Parameters and GMACs as torchvision publishes them with its weights (num_params, _ops), at the size the weights were
# tested at.
# Table 1 of "Deep Residual Learning" gives 3.8 G and 11.3 G for ResNet-50 and 152 with the stride in the 1x1
# convolution.
PUBLISHED = {
    "resnet18": (224, 11_689_512, 1.814),
    "resnet50": (224, 25_557_032, 4.089),
    "resnet152": (224, 60_192_808, 11.514),
    "wide_resnet50_2": (224, 68_883_240, 11.398),
    "resnext50_32x4d": (224, 25_028_904, 4.230),
    "vgg16_bn": (224, 138_365_992, 15.470),
    "densenet121": (224, 7_978_856, 2.834),
    "mobilenetv2_100": (224, 3_504_872, 0.301),
    "efficientnet_b0": (224, 5_288_548, 0.386),
    "tf_efficientnet_b6": (528, 43_040_704, 19.068),
    "swin_tiny_patch4_window7_224": (224, 28_288_354, 4.491),
    # Bag of Tricks, table 5: ResNet-50 4.1 G here as B; C and D add the deep stem, D has 25.6 M and 4.3 GMACs by their
    # count.
    "resnet50d": (224, 25_576_264, 4.35),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures(name):
    import timm

    size, count, gmacs = PUBLISHED[name]
    with torch.device("meta"):
        found = cost(timm.create_model(name), size)
    assert found.parameters == count
    assert found.macs == pytest.approx(gmacs * 1e9, rel=0.01)
    assert found.flops == 2 * found.macs


def test_convolution_by_hand():
    """8 filters of 3x3x3 on 10x10 places."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1))
    assert cost(model, 10) == Cost(parameters=8 * 28, macs=8 * 27 * 100)


def test_counting_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    model[0].requires_grad_(False)
    assert parameters(model) == cost(model, 8).parameters == 112 + 8
    assert model.training and model[1].num_batches_tracked == 0
