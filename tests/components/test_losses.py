"""Losses and reductions: limit cases, references written out, gradients that stay finite."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from recipe.components.heads import HEADS
from recipe.components.losses import LOSSES, REDUCTIONS, at, check_head
from recipe.registry import SpecError

COUNTS = torch.tensor([50, 20, 5, 1, 200])


def examples(rows: int = 12, scale: float = 3.0, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (rows, 5) and labels, every class among them."""
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, 5, generator=generator), torch.arange(rows) % 5


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits, labels, reduction="none")


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_per_picture_finite_and_not_negative(name: str) -> None:
    logits, labels = examples()
    losses = LOSSES.build(name, COUNTS)(logits, labels)
    assert losses.shape == (12,) and losses.dtype == torch.float32
    assert torch.isfinite(losses).all() and (losses >= 0).all()


@pytest.mark.parametrize("name", [*LOSSES, "focal(gamma=0.5)", "focal(gamma=0)"])
@pytest.mark.parametrize("scale", [0.0, 30.0, 1e3])
def test_gradients_are_finite_on_flat_and_on_extreme_logits(name: str, scale: float) -> None:
    for sign in (1, -1):
        labels = torch.arange(5)
        logits = (sign * scale * torch.eye(5)).requires_grad_()
        LOSSES.build(name, COUNTS)(logits, labels).sum().backward()
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", LOSSES)
def test_each_row_is_its_own(name: str) -> None:
    logits, labels = examples()
    loss = LOSSES.build(name, COUNTS)
    torch.testing.assert_close(loss(logits, labels)[3:4], loss(logits[3:4], labels[3:4]))


LIMITS = [
    "ce",
    "smoothing(epsilon=0)",
    "focal(gamma=0)",
    "weighted_ce(power=0)",
    "class_balanced(beta=0)",
    "class_balanced(smoothing(0), beta=0)",
    "arcface(margin=0)",
    "cosface(margin=0)",
    "deferred(start=1)",
]


@pytest.mark.limit("loss", "smoothing", "focal", "weighted_ce", "class_balanced", "arcface", "cosface", "deferred")
@pytest.mark.parametrize("spec", LIMITS)
def test_limits_are_cross_entropy(spec: str) -> None:
    logits, labels = examples()
    torch.testing.assert_close(LOSSES.build(spec, COUNTS)(logits, labels), cross_entropy(logits, labels))


@pytest.mark.limit("loss", "weighted_ce", "class_balanced")
@pytest.mark.parametrize("spec", ["weighted_ce", "class_balanced", "class_balanced(beta=0.99)"])
def test_equal_counts_are_cross_entropy(spec: str) -> None:
    logits, labels = examples()
    torch.testing.assert_close(LOSSES.build(spec, torch.full((5,), 30))(logits, labels), cross_entropy(logits, labels))


@pytest.mark.reference("loss", "smoothing")
def test_smoothing_spreads_over_all_classes() -> None:
    logits, labels = examples()
    target = 0.9 * functional.one_hot(labels, 5) + 0.1 / 5
    torch.testing.assert_close(
        LOSSES.build("smoothing(0.1)", COUNTS)(logits, labels), -(target * logits.log_softmax(1)).sum(1)
    )


def test_smoothing_over_the_others_is_the_stated_conversion() -> None:
    logits, labels = examples()
    target = torch.where(functional.one_hot(labels, 5).bool(), 0.9, 0.1 / 4)
    converted = LOSSES.build(f"smoothing({0.1 * 5 / 4})", COUNTS)(logits, labels)
    torch.testing.assert_close(converted, -(target * logits.log_softmax(1)).sum(1))


@pytest.mark.reference("loss", "focal")
def test_focal_is_the_papers_formula_and_falls_with_gamma() -> None:
    logits, labels = examples()
    probs = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(LOSSES.build("focal(2)", COUNTS)(logits, labels), -((1 - probs) ** 2) * probs.log())
    assert (LOSSES.build("focal(3)", COUNTS)(logits, labels) <= LOSSES.build("focal(2)", COUNTS)(logits, labels)).all()


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_gradient_is_right(gamma: float) -> None:
    logits, labels = examples(5)
    loss = LOSSES.build(f"focal({gamma})", COUNTS)
    assert torch.autograd.gradcheck(lambda values: loss(values, labels), logits.double().requires_grad_())


def class_weights(spec: str) -> torch.Tensor:
    logits = torch.zeros(5, 5)
    return LOSSES.build(spec, COUNTS)(logits, torch.arange(5)) / math.log(5)


@pytest.mark.reference("loss", "class_balanced")
def test_class_balanced_weights_are_the_papers() -> None:
    effective = torch.tensor([(1 - 0.999**count) / (1 - 0.999) for count in COUNTS.tolist()])
    torch.testing.assert_close(class_weights("class_balanced(beta=0.999)"), 5 * (1 / effective) / (1 / effective).sum())


@pytest.mark.reference("loss", "weighted_ce")
@pytest.mark.limit("loss", "class_balanced")
def test_class_balanced_tends_to_inverse_frequency() -> None:
    torch.testing.assert_close(
        class_weights("class_balanced(beta=0.9999999)"), class_weights("weighted_ce"), rtol=1e-4, atol=0
    )
    torch.testing.assert_close(class_weights("weighted_ce"), 5 * (1 / COUNTS) / (1 / COUNTS).sum())


def test_an_empty_class_is_finite() -> None:
    logits, labels = examples()
    for name in LOSSES:
        assert torch.isfinite(LOSSES.build(name, torch.tensor([0, 3, 4, 5, 6]))(logits, labels)).all()


@pytest.mark.reference("loss", "bce")
@pytest.mark.limit("loss", "bce")
def test_bce_is_the_binary_loss_and_linear_in_mixed_targets() -> None:
    logits, labels = examples()
    loss = LOSSES.build("bce", COUNTS)
    hard = functional.one_hot(labels, 5).float()
    torch.testing.assert_close(
        loss(logits, labels), functional.binary_cross_entropy_with_logits(logits, hard, reduction="none").mean(1)
    )
    soft = 0.3 * hard + 0.7 * hard.flip(0)
    mixed = 0.3 * loss(logits, labels) + 0.7 * loss(logits, labels.flip(0))
    torch.testing.assert_close(
        mixed, functional.binary_cross_entropy_with_logits(logits, soft, reduction="none").mean(1)
    )
    torch.testing.assert_close(LOSSES.build("bce(sum_classes=True)", COUNTS)(logits, labels), 5 * loss(logits, labels))


def angles(degrees: list[float], scale: float = 30.0) -> torch.Tensor:
    """Scaled cosines: the true class 0 at the given angles, class 1 at 90 degrees."""
    return scale * torch.stack([torch.deg2rad(torch.tensor(degrees)).cos(), torch.zeros(len(degrees))], 1)


@pytest.mark.reference("loss", "arcface")
def test_arcface_adds_to_the_angle() -> None:
    degrees = [10.0, 40.0, 75.0, 120.0]
    margin = math.radians(30)
    expected = cross_entropy(angles([angle + 30 for angle in degrees]), torch.zeros(4, dtype=torch.int64))
    losses = LOSSES.build(f"arcface(margin={margin})", COUNTS)(angles(degrees), torch.zeros(4, dtype=torch.int64))
    torch.testing.assert_close(losses, expected)


@pytest.mark.reference("loss", "cosface")
def test_cosface_takes_from_the_cosine() -> None:
    logits = angles([10.0, 40.0, 120.0])
    expected = cross_entropy(logits - torch.tensor([30 * 0.35, 0.0]), torch.zeros(3, dtype=torch.int64))
    torch.testing.assert_close(LOSSES.build("cosface", COUNTS)(logits, torch.zeros(3, dtype=torch.int64)), expected)


@given(st.floats(0, math.pi / 2))
def test_arcface_rises_with_the_angle_all_the_way(margin: float) -> None:
    losses = LOSSES.build(f"arcface(margin={margin})", COUNTS)(
        angles([float(a) for a in range(181)]), torch.zeros(181, dtype=torch.int64)
    )
    assert (losses.diff() >= -1e-4).all()


@pytest.mark.parametrize(
    "spec", ["arcface(scale=16)", "class_balanced(cosface(scale=16))", "deferred(ce(), arcface(scale=16))"]
)
def test_margin_losses_are_refused_without_their_cosine_head(spec: str) -> None:
    loss = LOSSES.build(spec, COUNTS)
    check_head(loss, 16.0)
    check_head(LOSSES.build("ce", COUNTS), None)
    for scale in (None, 30.0):
        with pytest.raises(SpecError, match=re.escape("cosine(scale=16)")):
            check_head(loss, scale)


@pytest.mark.parametrize("name", ["arcface", "cosface"])
def test_bare_margin_losses_fit_the_bare_cosine_head(name: str) -> None:
    assert LOSSES.settings(name)["scale"].default == HEADS.settings("cosine")["scale"].default


@pytest.mark.limit("loss", "deferred")
def test_deferred_changes_at_its_start() -> None:
    logits, labels = examples()
    loss = LOSSES.build("deferred(ce(), weighted_ce(), start=0.8)", COUNTS)
    torch.testing.assert_close(at(loss, 0.79)(logits, labels), cross_entropy(logits, labels))
    torch.testing.assert_close(at(loss, 0.8)(logits, labels), LOSSES.build("weighted_ce", COUNTS)(logits, labels))
    nested = LOSSES.build("deferred(ce(), deferred(focal(), weighted_ce(), 0.9), 0.5)", COUNTS)
    for progress, spec in [(0.4, "ce"), (0.6, "focal"), (1.0, "weighted_ce")]:
        torch.testing.assert_close(at(nested, progress)(logits, labels), LOSSES.build(spec, COUNTS)(logits, labels))
    torch.testing.assert_close(
        LOSSES.build("deferred(start=0)", COUNTS)(logits, labels),
        LOSSES.build("class_balanced(beta=0.9999)", COUNTS)(logits, labels),
    )
    plain = LOSSES.build("ce", COUNTS)
    assert at(plain, 0.9) is plain


@pytest.mark.parametrize("name", REDUCTIONS)
def test_every_reduction_gives_one_finite_number(name: str) -> None:
    reduced = REDUCTIONS.build(name)(torch.tensor([1.0, 2.0, 4.0]))
    assert reduced.shape == () and torch.isfinite(reduced)


@pytest.mark.reference("reduction", "ohem")
@pytest.mark.limit("reduction", "ohem")
def test_ohem_takes_the_hardest_and_its_limit_is_the_mean() -> None:
    losses = torch.tensor([5.0, 1.0, 3.0, 2.0])
    assert float(REDUCTIONS.build("ohem(keep=0.5)")(losses)) == 4
    assert float(REDUCTIONS.build("ohem(keep=0.51)")(losses)) == pytest.approx(10 / 3)
    assert float(REDUCTIONS.build("ohem(keep=0.001)")(losses)) == 5
    assert float(REDUCTIONS.build("ohem(keep=1)")(losses)) == float(REDUCTIONS.build("mean")(losses)) == 2.75
    REDUCTIONS.build("ohem(keep=0.5)")(losses.requires_grad_()).backward()
    assert losses.grad.tolist() == [0.5, 0, 0.5, 0]


@pytest.mark.parametrize(
    "spec",
    [
        "smoothing(1)",
        "focal(-1)",
        "class_balanced(beta=1)",
        "class_balanced(focul())",
        "arcface(margin=2)",
        "deferred(start=2)",
        "class_balanced(deferred())",
        "cee",
    ],
)
def test_wrong_settings_are_refused(spec: str) -> None:
    with pytest.raises(SpecError):
        LOSSES.build(spec, COUNTS)


@pytest.mark.parametrize("spec", ["ohem(keep=0)", "ohem(keep=1.1)"])
def test_wrong_reductions_are_refused(spec: str) -> None:
    with pytest.raises(SpecError):
        REDUCTIONS.build(spec)
