"""The 32-pixel backbones: published sizes, shapes, gradients, activations and initialisation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recipe.components.cifar import BACKBONES
from recipe.components.heads import HEADS
from recipe.components.initial import ACTIVATIONS, kaiming, replace_activation, zero_gamma
from recipe.models.counting import cost, parameters
from recipe.registry import SpecError
from recipe.system import torchvision_guard  # noqa: F401  (before timm)

# Exact counts with the linear head for K classes. Where an ImageNet network gets the 3x3 stem, its published count
# (torchvision, and
# timm's result tables for SE and pre-activation nets) less what the smaller stem saves: 7x7 to 3x3 on 3 channels is 40
# * 3 per filter.
STEM64, STEM96 = 40 * 3 * 64, 40 * 3 * 96
EXACT = {
    "cifar_resnet18": (1000, 11_689_512 - STEM64),
    "cifar_resnet34": (1000, 21_797_672 - STEM64),
    "cifar_resnet50": (1000, 25_557_032 - STEM64),
    "cifar_resnet101": (1000, 44_549_160 - STEM64),
    "cifar_resnet152": (1000, 60_192_808 - STEM64),
    "cifar_stochasticdepth18": (1000, 11_689_512 - STEM64),
    "cifar_stochasticdepth34": (1000, 21_797_672 - STEM64),
    "cifar_stochasticdepth50": (1000, 25_557_032 - STEM64),
    "cifar_stochasticdepth101": (1000, 44_549_160 - STEM64),
    "cifar_stochasticdepth152": (1000, 60_192_808 - STEM64),
    "cifar_resnext50": (1000, 25_028_904 - STEM64),
    "cifar_seresnet50": (1000, 28_088_024 - STEM64),
    "cifar_densenet121": (1000, 7_978_856 - STEM64),
    "cifar_densenet161": (1000, 28_681_000 - STEM96),
    "cifar_densenet169": (1000, 14_149_480 - STEM64),
    "cifar_densenet201": (1000, 20_013_928 - STEM64),
    # kuangliu/pytorch-cifar counts 11,171,146 for PreActResNet18 at K=10; it has no norm before pooling, 2 * 512 here.
    "cifar_preactresnet18": (10, 11_171_146 + 1024),
    # The stem changes strides and paddings only: the ImageNet counts hold as they are.
    "cifar_inception_v3": (1000, 23_834_568),  # torchvision's 27,161,264 less the auxiliary classifier
    "cifar_inception_v4": (1000, 42_679_816),  # timm's result table: 42.68 M
    "cifar_inception_resnet_v2": (1000, 55_843_464),  # timm's result table: 55.84 M
    "cifar_xception": (1000, 22_855_952),  # Chollet, table 3: 22,855,952
    "cifar_mobilenet": (1000, 4_231_976),  # Howard et al., table 4: 4.2 M
    "cifar_mobilenet_v2": (1000, 3_504_872),  # torchvision
    "cifar_shufflenet_v2": (1000, 2_278_604),  # torchvision
    "cifar_squeezenet": (1000, 1_248_424 - STEM96),  # torchvision's 1.0, 7x7 stem of 96 filters
    # kuangliu/pytorch-cifar and the papers that use it, K=10: convolutions with bias, batch norm, one linear layer.
    "cifar_vgg11_bn": (10, 9_231_114),
    "cifar_vgg13_bn": (10, 9_416_010),
    "cifar_vgg16_bn": (10, 14_728_266),
    "cifar_vgg19_bn": (10, 20_040_522),
    "cifar_wrn28_10": (10, 36_479_194),  # Zagoruyko, Komodakis, table 4: 36.5 M
}
# Rounded figures in millions, relative tolerance, and where they stand.
ROUNDED = {
    "cifar_wrn40_10": (10, 55.8, 0.001),  # Zagoruyko, Komodakis, table 4
    "cifar_nasnet": (10, 3.3, 0.015),  # Zoph et al., table 1: NASNet-A (6 @ 768)
    "cifar_attention56": (1000, 31.9, 0.01),  # Wang et al., table 6
    "cifar_attention92": (1000, 51.3, 0.025),  # Wang et al., table 6
    "cifar_googlenet": (
        1000,
        7.0,
        0.01,
    ),  # Szegedy et al., table 1: 6.8 M with its biases and without norms; Caffe's file 6,998,552
    "cifar_shufflenet": (100, 1.0, 0.01),  # weiaicunzai/pytorch-cifar100, results
    "cifar_seresnet18": (1000, 11.78, 0.002),  # this and the following: timm's result tables
    "cifar_seresnet34": (1000, 21.96, 0.002),
    "cifar_seresnet101": (1000, 49.33, 0.001),
    "cifar_seresnet152": (1000, 66.82, 0.001),
    "cifar_preactresnet34": (
        100,
        21.3,
        0.002,
    ),  # as ResNet-34; the norm that ends the network takes the place of the stem's
    "cifar_preactresnet50": (1000, 25.55, 0.001),  # He et al., 2016: as ResNet-50
    "cifar_preactresnet101": (1000, 44.54, 0.001),
    "cifar_preactresnet152": (1000, 60.19, 0.001),
    "cifar_resnext101": (1000, 44.18, 0.001),  # timm's result tables, 32x4d
    "cifar_resnext152": (1000, 60.0, 0.002),  # Xie et al.: as ResNet-152
    "cifar_resnet_in_resnet": (
        10,
        10.3,
        0.08,
    ),  # Targ et al., table 2, whose last layers are a convolution and two linear ones
}


@pytest.fixture(scope="module", params=list(BACKBONES))
def backbone(request):
    """Every network once, on the meta device."""
    with torch.device("meta"):
        network = BACKBONES.build(request.param)
    return request.param, network


def test_size_is_the_published_one(backbone):
    name, network = backbone
    classes, count = EXACT[name] if name in EXACT else ROUNDED[name][:2]
    with torch.device("meta"):
        found = parameters(network) + parameters(HEADS.build("linear", network.num_features, classes))
    assert found == count if name in EXACT else found == pytest.approx(count * 1e6, rel=ROUNDED[name][2])


@pytest.mark.parametrize("side", [32, 40])
def test_feature_map_has_the_promised_channels(backbone, side):
    name, network = backbone
    features = network.eval().forward_features(torch.zeros(2, 3, side, side, device="meta"))
    assert features.shape[:2] == (2, network.num_features) and features.ndim == 4
    assert 1 <= features.shape[2] == features.shape[3] <= side / 4 + 2
    assert network.forward_head(features, pre_logits=True).shape == (2, network.num_features)
    assert (
        getattr(network, "head_hidden_size", network.num_features) == network.num_features
    )  # what a head is built for
    assert network.input_size == 32 and "Source: " in BACKBONES[name].__doc__


# GMACs at 32 px, or at 56 px where the stages then see the sizes of the ImageNet network, with the difference of the
# stems.
WORK = {
    "cifar_resnet18": (32, 0.556, 0.0),  # 0.56 G in the pruning literature on CIFAR
    "cifar_wrn28_10": (32, 5.243, 0.0),  # 5.25 G; Zagoruyko prints none
    "cifar_vgg16_bn": (32, 0.313, 0.0),  # 313 M in Li et al., "Pruning Filters for Efficient ConvNets", table 1
    "cifar_resnet50": (56, 4.089, (64 * 147 * 112**2 - 64 * 27 * 56**2) / 1e9 + 0.002),
    "cifar_densenet121": (56, 2.834, (64 * 147 * 112**2 - 64 * 27 * 56**2) / 1e9 + 0.001),
    "cifar_shufflenet_v2": (56, 0.145, (24 * 27 * (112**2 - 56**2)) / 1e9 + 0.001),
    "cifar_mobilenet_v2": (56, 0.301, (32 * 27 + 32 * 9 + 32 * 16 + 16 * 96) * (112**2 - 56**2) / 1e9 + 0.00128),
    "cifar_attention56": (56, 6.2, (64 * 147 * 112**2 - 64 * 27 * 56**2) / 1e9 + 0.002),  # Wang et al., table 6
}


@pytest.mark.parametrize("name", WORK)
def test_work_is_the_published_one(name):
    size, gmacs, stem = WORK[name]
    with torch.device("meta"):
        found = cost(BACKBONES.build(name), size).macs / 1e9
    assert found + stem == pytest.approx(gmacs, rel=0.02 if name == "cifar_attention56" else 0.01)


SMALL = [
    "cifar_googlenet",
    "cifar_mobilenet",
    "cifar_mobilenet_v2",
    "cifar_resnet18",
    "cifar_shufflenet",
    "cifar_shufflenet_v2",
]
SMALL += [
    "cifar_nasnet(cells=1, channels=8)",
    "cifar_squeezenet",
    "cifar_vgg11_bn",
    "cifar_resnet_in_resnet",
    "cifar_preactresnet18",
]
SMALL += [
    "cifar_stochasticdepth18",
    "cifar_seresnet18",
    "cifar_wrn28_10(widen=1, dropout=0.1, drop_path=0.2)",
    "cifar_densenet121",
]
LARGE = [
    "cifar_attention56",
    "cifar_inception_v3",
    "cifar_inception_v4",
    "cifar_inception_resnet_v2",
    "cifar_xception",
    "cifar_resnext50",
]


@pytest.mark.parametrize("spec", SMALL + [pytest.param(spec, marks=pytest.mark.slow) for spec in LARGE])
def test_every_weight_gets_a_finite_gradient(spec):
    torch.manual_seed(0)
    network = BACKBONES.build(spec).train()
    images = torch.randn(4, 3, 32, 32)
    pooled = network.forward_head(network.forward_features(images), pre_logits=True)
    assert torch.isfinite(pooled).all() and 1e-3 < pooled.detach().std() < 1e3
    (pooled * torch.randn_like(pooled)).sum().backward()
    dropped = "stochastic" in spec or "drop_path" in spec  # a block left out for the whole batch has no gradient
    missing = [name for name, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not missing
    unused = [name for name, p in network.named_parameters() if not p.grad.any() and p.ndim > 1]
    assert dropped or not unused


@pytest.mark.parametrize("spec", ["cifar_resnet18", "cifar_squeezenet", "cifar_nasnet(cells=1, channels=8)"])
def test_no_picture_depends_on_another_in_evaluation(spec):
    torch.manual_seed(0)
    network, images = BACKBONES.build(spec).eval(), torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(network(images)[1:2], network(images[1:2]), atol=1e-5)


def blocks_and_weights(spec: str) -> tuple[list[str], dict[str, tuple[int, ...]]]:
    """Kinds of all modules in order, identities left out, and the shapes of all weights, by name."""
    with torch.device("meta"):
        network = BACKBONES.build(spec)
    kinds = [type(module).__name__ for module in network.modules() if not isinstance(module, nn.Identity)]
    return kinds, {name: tuple(weight.shape) for name, weight in network.state_dict().items()}


@pytest.mark.limit(
    "backbone", "cifar_resnet18", "cifar_resnet34", "cifar_resnet50", "cifar_resnet101", "cifar_resnet152"
)
@pytest.mark.limit(
    "backbone",
    "cifar_stochasticdepth18",
    "cifar_stochasticdepth34",
    "cifar_stochasticdepth50",
    "cifar_stochasticdepth101",
    "cifar_stochasticdepth152",
)
@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_without_drop_path_every_block_is_kept_and_it_is_the_resnet(depth):
    resnet, never = (
        blocks_and_weights(f"cifar_resnet{depth}"),
        blocks_and_weights(f"cifar_stochasticdepth{depth}(drop_path=0)"),
    )
    assert never == resnet == blocks_and_weights(f"cifar_resnet{depth}(drop_path=0)") and "DropPath" not in resnet[0]
    assert "DropPath" in blocks_and_weights(f"cifar_stochasticdepth{depth}")[0]


@pytest.mark.limit("backbone", "cifar_wrn28_10", "cifar_wrn40_10")
@pytest.mark.parametrize("depth", [28, 40])
def test_a_wide_resnet_of_width_one_is_the_thin_preactivation_resnet(depth):
    """Counted by hand: 16, 32, 64 channels, (depth - 4) / 6 blocks of two 3x3 convolutions each, norms before them, a
    1x1 where it widens.
    """
    blocks, inside, expected = (depth - 4) // 6, 16, 3 * 16 * 9
    for outside in (16, 32, 64):
        for block in range(blocks):
            first = inside if block == 0 else outside
            expected += (
                2 * first
                + 9 * first * outside
                + 2 * outside
                + 9 * outside**2
                + (first * outside if first != outside else 0)
            )
        inside = outside
    with torch.device("meta"):
        thin = BACKBONES.build(f"cifar_wrn{depth}_10(widen=1)")
    assert parameters(thin) == expected + 2 * 64 and thin.num_features == 64


@pytest.mark.limit("backbone", "cifar_shufflenet")
def test_a_shufflenet_of_one_group_has_nothing_to_shuffle():
    network = BACKBONES.build("cifar_shufflenet(groups=1)")
    shuffles = [module for module in network.modules() if isinstance(module, nn.ChannelShuffle)]
    features = torch.randn(1, 12, 3, 3)
    assert shuffles and all(torch.equal(shuffle(features), features) for shuffle in shuffles)
    mixing = next(m for m in BACKBONES.build("cifar_shufflenet").modules() if isinstance(m, nn.ChannelShuffle))
    assert not torch.equal(mixing(features), features)


@pytest.mark.limit("backbone", "cifar_stochasticdepth18")
def test_stochastic_depth_acts_in_training_only_and_rate_zero_is_the_resnet():
    torch.manual_seed(0)
    deep, plain = BACKBONES.build("cifar_stochasticdepth18(drop_path=0.9)"), BACKBONES.build("cifar_resnet18")
    never = BACKBONES.build("cifar_stochasticdepth18(drop_path=0)")
    for network in (deep, never):
        network.load_state_dict(plain.state_dict())
    zeroed = [m for m in plain.modules() if hasattr(m, "zero_init_last")]
    for network in (deep, plain, never):
        for block in (m for m in network.modules() if hasattr(m, "zero_init_last")):
            nn.init.ones_(block.bn2.weight)
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(never(images), plain(images)) and not torch.allclose(deep(images), plain(images))
        assert zeroed and torch.allclose(deep.eval()(images), deep(images))


def test_wide_resnet_drops_the_expected_share():
    from recipe.components.cifar.wideresnet import drop_branch

    torch.manual_seed(0)
    kept = drop_branch(torch.ones(20_000, 1, 1, 1), 0.3, training=True).flatten()
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.7]) and kept.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(drop_branch(kept, 0.3, training=False), kept) and torch.equal(
        drop_branch(kept, 0.0, training=True), kept
    )


@pytest.mark.parametrize("name", ["cifar_wrn28_10(widen=1)", "cifar_shufflenet"])
def test_recomputing_activations_changes_no_gradient(name):
    torch.manual_seed(0)
    network, images = BACKBONES.build(name).train(), torch.randn(2, 3, 32, 32)
    found = []
    for recompute in (False, True):
        network.set_grad_checkpointing(recompute)
        network.zero_grad()
        network(images).square().sum().backward()
        found.append([p.grad.clone() for p in network.parameters()])
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(*found, strict=True))


FAMILIES = {
    BACKBONES[name].__qualname__: name for name in reversed(list(BACKBONES))
}  # the smallest network of each function
SWAPS = [(name, "silu") for name in FAMILIES.values()]
SWAPS += [("cifar_squeezenet", activation) for activation in ACTIVATIONS if activation not in ("relu", "silu")]


@pytest.mark.parametrize(("name", "activation"), SWAPS)
def test_activation_is_a_setting(name, activation):
    with torch.device("meta"):
        network = BACKBONES.build(f"{name}(activation='{activation}')")
    kinds = [type(module) for module in network.modules()]
    assert ACTIVATIONS[activation] in kinds and nn.ReLU not in kinds and nn.ReLU6 not in kinds


def test_replacing_relu_by_relu_changes_no_answer():
    import timm

    torch.manual_seed(0)
    network, images = timm.create_model("resnet18").eval(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = network(images)
        assert replace_activation(network, "relu") == 17
        assert torch.equal(network(images), before)
        replace_activation(network, "gelu")
        assert not torch.allclose(network(images), before)


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_b0", "mobilenetv3_small_100", "convnext_atto", "densenet121", "vit_tiny_patch16_224"]
)
def test_timm_networks_take_another_activation_and_keep_their_gates(name):
    import timm

    with torch.device("meta"):
        network = timm.create_model(name)
        gates = [type(m) for m in network.modules() if "igmoid" in type(m).__name__]
        assert replace_activation(network, "mish") > 5
        assert gates == [type(m) for m in network.modules() if "igmoid" in type(m).__name__]
        assert any(isinstance(m, nn.Mish) for m in network.modules())
        assert network(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)


def test_activation_refusals():
    with pytest.raises(ValueError, match="unknown activation 'swoosh'"):
        replace_activation(nn.Sequential(nn.ReLU()), "swoosh")
    with pytest.raises(ValueError, match="no activation module"):
        replace_activation(nn.Linear(2, 2), "relu")
    with pytest.raises(SpecError, match="activation='swoosh' is refused"):
        BACKBONES.build("cifar_resnet18(activation='swoosh')")


def test_names_do_not_shadow_timm():
    """`resnet50` must stay timm's, with its pretrained weights."""
    import timm

    assert not set(BACKBONES) & set(timm.list_models())


def test_kaiming_keeps_the_deviation_of_its_source():
    model = nn.Sequential(nn.Conv2d(16, 64, 3, groups=2), nn.BatchNorm2d(64), nn.Linear(64, 100))
    nn.init.uniform_(model[1].weight)
    torch.manual_seed(0)
    kaiming(model)
    assert model[0].weight.std().item() == pytest.approx((2 / (64 / 2 * 9)) ** 0.5, rel=0.05)
    assert model[2].weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert model[1].weight.eq(1).all() and all(not layer.bias.any() for layer in model)


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50d", "seresnet18", "tf_efficientnet_lite0", "mobilenetv2_100", "resnetv2_18"]
)
def test_zero_gamma_makes_every_block_an_identity(name):
    """With all branches off, other weights inside the branches change no feature."""
    import timm

    torch.manual_seed(0)
    network, images = timm.create_model(name, num_classes=0), torch.randn(1, 3, 64, 64)
    assert zero_gamma(network.eval()) >= 8
    with torch.no_grad():
        before = network(images)
        branches = [m for m in network.modules() if hasattr(m, "zero_init_last") or getattr(m, "has_skip", False)]
        for block in branches:
            first = next(
                m for name, m in block.named_modules() if isinstance(m, nn.Conv2d) and "downsample" not in name
            )
            first.weight.mul_(3)
        assert torch.allclose(network(images), before, atol=1e-5)


def test_zero_gamma_of_own_networks_and_its_refusal():
    assert zero_gamma(BACKBONES.build("cifar_wrn28_10(widen=1)")) == 12
    with torch.device("meta"), pytest.raises(ValueError, match="no residual block"):
        zero_gamma(BACKBONES.build("cifar_vgg11_bn"))
