"""Sampling weights: how often each class is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.components.samplers import SAMPLERS
from recipe.registry import SpecError

LABELS = np.repeat([0, 1, 2, 4], [100, 25, 4, 1])


def class_shares(spec: str, labels: np.ndarray) -> np.ndarray:
    return np.bincount(labels, weights=SAMPLERS.build(spec, labels))


@pytest.mark.parametrize("name", SAMPLERS)
@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=40).map(np.array))
def test_every_sampler_gives_a_distribution_over_rows_or_none(name: str, labels: np.ndarray) -> None:
    weights = SAMPLERS.build(name, labels)
    if name == "uniform":
        assert weights is None
    else:
        assert weights.shape == labels.shape and weights.dtype == np.float64
        assert (weights > 0).all() and weights.sum() == pytest.approx(1)
        assert all(np.ptp(weights[labels == label]) == 0 for label in labels)


@pytest.mark.reference("sampler", "class_balanced", "square_root", "power")
@pytest.mark.parametrize(
    ("spec", "shares"),
    [
        ("class_balanced", [1 / 4, 1 / 4, 1 / 4, 0, 1 / 4]),
        ("square_root", [10 / 18, 5 / 18, 2 / 18, 0, 1 / 18]),
        ("power(q=1)", [100 / 130, 25 / 130, 4 / 130, 0, 1 / 130]),
    ],
)
def test_class_shares(spec: str, shares: list[float]) -> None:
    assert class_shares(spec, LABELS) == pytest.approx(shares)


@pytest.mark.limit("sampler", "power")
def test_power_limits_are_the_named_samplers() -> None:
    assert class_shares("power(0)", LABELS) == pytest.approx(class_shares("class_balanced", LABELS))
    assert class_shares("power(0.5)", LABELS) == pytest.approx(class_shares("square_root", LABELS))


@pytest.mark.limit("sampler", "class_balanced", "square_root")
@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"uniform"}))
def test_equal_counts_are_drawn_alike(name: str) -> None:
    assert SAMPLERS.build(name, np.repeat([3, 1, 2], 4)) == pytest.approx(1 / 12)


@pytest.mark.parametrize("spec", ["power(q=2)", "power(q=-1)", "squareroot", "uniform(1)"])
def test_wrong_settings_are_refused(spec: str) -> None:
    with pytest.raises(SpecError):
        SAMPLERS.build(spec, LABELS)
