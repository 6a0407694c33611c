"""Network and probe together, by rows that neither has seen."""

import numpy as np
import pytest

from recipe.components.metrics import log_loss
from recipe.training.contender.blend import PRIOR_SHARE, PRIOR_SHARPNESS, Blend, blend


def answers(labels, right, sure, classes=4, seed=0):
    """(N,K) probabilities that name the true class in a share `right` of the rows."""
    random = np.random.default_rng(seed)
    named = np.where(random.random(len(labels)) < right, labels, (labels + 1) % classes)
    probs = np.full((len(labels), classes), (1 - sure) / (classes - 1), np.float32)
    probs[np.arange(len(labels)), named] = sure
    return probs


def test_without_rows_the_priors_stand():
    nothing = np.zeros((0, 4), np.float32)
    found = blend(nothing, nothing, np.zeros(0, np.int64))
    assert found.share == pytest.approx(PRIOR_SHARE, abs=0.06)
    assert 1 / found.temperature == pytest.approx(PRIOR_SHARPNESS, rel=0.1)


def test_a_network_that_has_seen_little_is_given_little():
    nothing = np.zeros((0, 4), np.float32)
    shares = [blend(nothing, nothing, np.zeros(0, np.int64), seen).share for seen in (0, 15, 100, 1000)]
    assert shares == sorted(shares) and shares[0] < 0.05 and shares[1] < 0.2 and shares[-1] > 0.4


@pytest.mark.parametrize(("right", "expected"), [(0.3, 0.1), (0.99, 0.9)])
def test_many_rows_leave_the_better_one_alone(right, expected):
    labels = np.arange(2000) % 4
    share = blend(answers(labels, right, 0.6, seed=1), answers(labels, 0.7, 0.7, seed=2), labels).share
    assert share <= expected if right < 0.5 else share >= 0.6


def test_an_unsure_network_is_made_sure():
    labels = np.arange(1000) % 4
    unsure, probe = answers(labels, 0.95, 0.3, seed=1), answers(labels, 0.9, 0.9, seed=2)
    found = blend(unsure, probe, labels)
    assert found.temperature < 0.3
    mixed = found.probs(unsure, probe)
    assert np.allclose(mixed.sum(1), 1, atol=1e-5)
    assert log_loss(labels, mixed) < min(log_loss(labels, unsure), log_loss(labels, probe))


def test_shares_of_0_and_1_are_the_one_and_the_other():
    labels = np.arange(8) % 4
    network, probe = answers(labels, 0.5, 0.6), answers(labels, 0.9, 0.8)
    assert np.allclose(Blend(1, 1).probs(network, probe), network) and np.allclose(
        Blend(0, 1).probs(network, probe), probe
    )


@pytest.mark.parametrize("rows", [1, 12, 40, 400])
@pytest.mark.parametrize("right", [0.0, 0.25, 0.6, 0.9])
def test_the_rows_never_find_both_less_likely_than_the_probe_alone(rows, right):
    labels = np.arange(rows) % 4
    network, probe = answers(labels, right, 0.9, seed=1), answers(labels, 0.9, 0.7, seed=2)
    found = blend(network, probe, labels)
    assert log_loss(labels, found.probs(network, probe)) <= log_loss(labels, probe) + 1e-6
