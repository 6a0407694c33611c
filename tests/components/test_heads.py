"""Heads: pooled forms against numpy and exact products, and what every head promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from recipe.components.heads import HEADS, generalised_mean, signed_sqrt

CHANNELS, CLASSES = 12, 5


def make(spec: str, channels: int = CHANNELS, classes: int = CLASSES) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return HEADS.build(spec, channels, classes)


def feature_map(batch: int = 3, channels: int = CHANNELS, seed: int = 0, side: int = 4) -> torch.Tensor:
    return torch.randn(batch, channels, side, side + 1, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", HEADS)
def test_every_head_keeps_its_promises(name):
    head = make(name)
    features = feature_map().requires_grad_() if head.spatial else feature_map().mean((2, 3)).requires_grad_()
    logits = head(features)
    assert logits.shape == (3, CLASSES) and logits.dtype == torch.float32 and torch.isfinite(logits).all()
    embedded = head.eval().embed(features)
    assert embedded.ndim == 2 and torch.allclose(head(features), head.classifier(embedded))
    logits.sum().backward()
    assert torch.isfinite(features.grad).all() and features.grad.abs().sum() > 0
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())
    assert "Source: " in HEADS[name].__doc__


@pytest.mark.parametrize("name", HEADS)
def test_no_picture_depends_on_another(name):
    """Of features above 0: near it, a signed root makes much of the last digit of a Fourier transform."""
    head = make(name).eval()
    features = feature_map().abs() + 0.5 if head.spatial else feature_map().mean((2, 3)).abs() + 0.5
    assert torch.allclose(head(features)[1:2], head(features[1:2]), atol=1e-6)


@pytest.mark.parametrize("name", HEADS)
def test_weights_are_all_in_the_state(name):
    """A head made anew and filled from a checkpoint answers as before, random signs and places included."""
    torch.manual_seed(7)
    first, second = HEADS.build(name, CHANNELS, CLASSES).eval(), HEADS.build(name, CHANNELS, CLASSES).eval()
    second.load_state_dict(first.state_dict())
    features = feature_map() if first.spatial else feature_map().mean((2, 3))
    assert torch.equal(first(features), second(features))


@pytest.mark.parametrize("name", HEADS)
def test_classifier_can_start_anew(name):
    """Every fold starts its own head by `reset_parameters`."""
    head = make(name)
    before = head.classifier.weight.detach().clone()
    head.classifier.reset_parameters()
    assert not torch.equal(head.classifier.weight, before)


@pytest.mark.limit("head", "linear")
def test_linear_without_dropout_is_a_linear_layer():
    head, features = make("linear"), torch.randn(4, CHANNELS)
    assert torch.equal(head(features), nn.functional.linear(features, head.classifier.weight, head.classifier.bias))


@pytest.mark.limit("head", "root")
def test_the_root_leaves_minus_one_zero_and_one_as_they_are():
    head, features = make("root").eval(), torch.tensor([[-1.0, 0.0, 1.0] * (CHANNELS // 3)])
    torch.testing.assert_close(head(features), head.classifier(features), rtol=0, atol=0)


def test_dropout_acts_in_training_only():
    head, features = make("linear(dropout=0.5)"), torch.ones(4, CHANNELS)
    assert not torch.equal(head(features), head(features))
    assert torch.equal(head.eval()(features), head(features)) and torch.equal(head.embed(features), features)


@pytest.mark.reference("head", "cosine")
def test_cosine_against_numpy():
    head, features = make("cosine(scale=7)"), torch.randn(4, CHANNELS)
    a, b = features.numpy(), head.classifier.weight.detach().numpy()
    expected = 7 * (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(head(features).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    assert torch.allclose(head(features), head(100 * features), atol=1e-5)


@pytest.mark.limit("head", "cosine")
def test_cosine_of_unit_vectors_and_scale_one_is_the_inner_product():
    head = make("cosine(scale=1)")
    with torch.no_grad():
        head.classifier.weight.copy_(nn.functional.normalize(head.classifier.weight))
    features = nn.functional.normalize(torch.randn(6, CHANNELS, generator=torch.Generator().manual_seed(2)))
    torch.testing.assert_close(head(features), features @ head.classifier.weight.T)


def test_cosine_fits_the_margin_losses():
    """Margin 0 is cross-entropy on the logits of the head with the same default scale."""
    from recipe.components.losses import LOSSES

    logits, labels = make("cosine")(torch.randn(6, CHANNELS)), torch.randint(CLASSES, (6,))
    for loss in ("arcface(margin=0)", "cosface(margin=0)"):
        expected = nn.functional.cross_entropy(logits, labels, reduction="none")
        assert torch.allclose(LOSSES.build(loss, torch.ones(CLASSES))(logits, labels), expected, atol=1e-4)


@pytest.mark.limit("head", "gem")
def test_gem_of_power_one_is_average_pooling():
    features = feature_map().abs() + 0.01
    assert torch.allclose(make("gem(p=1)").embed(features), features.mean((2, 3)), rtol=1e-5)


@pytest.mark.limit("head", "gem")
def test_gem_of_large_power_is_maximum_pooling():
    features = feature_map().abs() + 0.01
    assert torch.allclose(generalised_mean(features, torch.tensor([1e4])), features.amax((2, 3)), rtol=1e-3)


@pytest.mark.reference("head", "gem")
def test_gem_against_numpy_and_its_power_learns():
    head, features = make("gem(p=3)"), feature_map().abs() + 0.1
    expected = (features.double().numpy() ** 3).mean((2, 3)) ** (1 / 3)
    np.testing.assert_allclose(head.embed(features).detach().numpy(), expected, rtol=1e-5)
    head(features).sum().backward()
    assert head.p.grad.abs() > 0 and not make("gem(learn=False)").p.requires_grad


def test_gem_survives_large_features():
    assert torch.isfinite(make("gem(p=10)").embed(1e6 * feature_map())).all()


def full_bilinear(features: torch.Tensor) -> np.ndarray:
    """Mean outer product over places, signed square root, length 1, by loops in float64."""
    rows = []
    for picture in features.double().numpy():
        places = picture.reshape(picture.shape[0], -1)
        product = sum(np.outer(v, v) for v in places.T).ravel() / places.shape[1]
        root = np.sign(product) * np.sqrt(np.abs(product))
        rows.append(root / np.linalg.norm(root))
    return np.array(rows)


@pytest.mark.reference("head", "bilinear")
def test_bilinear_against_numpy():
    features = feature_map()
    np.testing.assert_allclose(make("bilinear(dim=None)").embed(features).numpy(), full_bilinear(features), atol=1e-5)


@pytest.mark.limit("head", "bilinear")
def test_bilinear_of_one_place_and_channel_keeps_the_sign():
    """The square is positive whatever the feature; the signed root of length 1 is then 1, and 0 stays 0."""
    embed = make("bilinear(dim=None)", channels=1).embed
    assert embed(torch.tensor([-3.0, 0.0, 2.0]).view(3, 1, 1, 1)).flatten().tolist() == [1.0, 0.0, 1.0]


def test_bilinear_reduces_before_the_product():
    head, features = make("bilinear(dim=4)"), feature_map()
    assert head.classifier.in_features == 16
    np.testing.assert_allclose(
        head.embed(features).detach().numpy(), full_bilinear(head.reduce(features).detach()), atol=1e-5
    )


@pytest.mark.limit("head", "bilinear")
def test_bilinear_of_one_channel_is_one():
    assert torch.equal(make("bilinear(dim=None)", channels=1).embed(feature_map(channels=1)), torch.ones(3, 1))


def test_bilinear_forgets_the_order_of_places():
    head, features = make("bilinear"), feature_map()
    assert torch.allclose(head(features), head(features.flip(2, 3)), atol=1e-5)


def test_signed_sqrt_has_a_finite_gradient_at_zero():
    vector = torch.tensor([-4.0, 0.0, 9.0], requires_grad=True)
    signed_sqrt(vector).sum().backward()
    assert torch.allclose(signed_sqrt(vector), torch.tensor([-2.0, 0.0, 3.0])) and torch.isfinite(vector.grad).all()


@pytest.mark.reference("head", "compact_bilinear")
def test_compact_bilinear_is_the_exact_sketch_of_the_outer_product():
    """Without FFT: entry (i, j) of the outer product goes, with sign s_i * s_j, to place (h_i + h_j) mod dim."""
    head, features = make("compact_bilinear(dim=64)"), feature_map().double()
    outer = torch.einsum("bchw,bdhw->bcd", features, features) / (features.shape[2] * features.shape[3])
    (h1, h2), (s1, s2) = head.places, head.signs.double()
    places = (h1[:, None] + h2[None, :]) % 64
    expected = torch.zeros(3, 64, dtype=torch.float64)
    expected.index_add_(1, places.flatten(), (outer * s1[:, None] * s2[None, :]).flatten(1))
    assert torch.allclose(head.pool(features.float()).double(), expected, atol=1e-5)


@pytest.mark.limit("head", "compact_bilinear")
def test_compact_bilinear_estimates_inner_products_without_bias():
    """Over 400 draws the mean comes within four standard errors of the exact <x, y>^2, and the error shrinks as dim
    grows.
    """
    left, right = (torch.randn(1, 8, 1, 1, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    right = right + 0.5 * left
    exact = torch.dot(left.flatten(), right.flatten()).square().item()
    spread = {}
    for dim in (32, 512):
        heads = [HEADS.build(f"compact_bilinear(dim={dim}, seed={seed})", 8, 2) for seed in range(400)]
        estimates = np.array([(head.pool(left) * head.pool(right)).sum().item() for head in heads])
        spread[dim] = estimates.std()
        assert abs(estimates.mean() - exact) < 4 * spread[dim] / 400**0.5
    assert spread[512] < spread[32] / 2


def test_compact_bilinear_classifies_alike_with_the_same_seed_only():
    places = [make(f"compact_bilinear(dim=128, seed={seed})").places for seed in (1, 1, 2)]
    assert torch.equal(places[0], places[1]) and not torch.equal(places[0], places[2])


@pytest.mark.parametrize("name", ["gem", "bilinear(dim=8)", "compact_bilinear(dim=64)", "cosine"])
def test_pooling_stays_in_float32_under_autocast(name):
    head = make(name).eval()
    features = feature_map() if head.spatial else feature_map().mean((2, 3))
    exact = head.embed(features)
    with torch.autocast("cpu", torch.bfloat16):
        assert head.embed(features).dtype == torch.float32
        assert torch.allclose(head.embed(features), exact, atol=1e-5)
