"""The probe: logistic regression on scaled features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recipe.training.contender.probe import fit_probe


def blobs(scales: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """90 features of 3 classes, one direction per class, each column at its own scale."""
    rng = np.random.default_rng(seed)
    labels = np.arange(90) % 3
    features = rng.normal(size=(90, len(scales))) + 2 * np.eye(len(scales))[labels]
    return (features * scales).astype(np.float32), labels


def test_equal_deviations_are_plain_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    features, labels = blobs(np.ones(6))
    features = (features - features.mean(0)) / features.std(0)
    expected = LogisticRegression(C=0.1, max_iter=1000).fit(features, labels).predict_proba(features)
    assert np.allclose(fit_probe(features, labels, 3, 0.1).probs(features), expected, atol=1e-3)


def test_a_feature_that_hardly_varies_is_not_amplified():
    scales = np.array([1, 1, 1, 1, 1, 1e-4])
    features, labels = blobs(scales)
    weight = np.abs(fit_probe(features, labels, 3, 0.01).weight)
    assert weight[:, 5].max() < weight[:, :5].max(), "standardising would give it 10,000 times the weight"


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_the_mean_does_not_matter(shift):
    features, labels = blobs(np.ones(6))
    plain, moved = (fit_probe(rows, labels, 3, 0.01).probs(rows) for rows in (features, features + np.float32(shift)))
    assert np.allclose(plain, moved, atol=1e-3)


def test_features_without_any_spread_answer_with_the_class_shares():
    probs = fit_probe(np.ones((30, 4), np.float32), np.arange(30) % 3 // 2, 2, 0.01).probs(np.ones((1, 4), np.float32))
    assert np.allclose(probs, [[2 / 3, 1 / 3]], atol=0.02)


def test_a_class_without_rows_is_the_least_likely():
    features, labels = blobs(np.ones(6))
    probs = fit_probe(features, labels, 4, 0.01).probs(features)
    assert probs.shape == (90, 4)
    assert (probs.argmin(1) == 3).all()


def test_the_head_answers_as_the_probe_does():
    features, labels = blobs(np.array([1, 2, 3, 4, 5, 6.0]))
    probe, layer = fit_probe(features, labels, 3, 0.01), torch.nn.Linear(6, 3)
    probe.start(layer)
    assert np.allclose(layer(torch.from_numpy(features)).softmax(1).detach().numpy(), probe.probs(features), atol=1e-5)
