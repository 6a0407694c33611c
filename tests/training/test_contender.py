"""Linear classifiers of features against references, limits, and a set on which the answers are known."""

import numpy as np
import pytest
from scipy.special import softmax

from recipe.components.metrics import log_loss
from recipe.training.contender.contend import SHRINKAGE, contend, sharpness
from recipe.training.contender.linear import discriminant, discriminants, logistic


def blobs(rows=240, classes=4, dim=12, spread=1.0, views=2, seed=0):
    """Gaussian classes: (V,N,D) features and labels, the views of a row close together."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    centres = 2 * random.standard_normal((classes, dim))
    rows_ = centres[labels] + spread * random.standard_normal((rows, dim))
    return np.stack([rows_ + 0.1 * random.standard_normal((rows, dim)) for _ in range(views)]), labels


def parts(labels, count=3):
    number = np.arange(len(labels)) // 4 % count
    return [(np.flatnonzero(number != k), np.flatnonzero(number == k)) for k in range(count)]


def test_discriminant_equals_that_of_sklearn():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    features, labels = blobs(spread=3.0)
    ours = discriminant(features[0], labels, 4, 0.3).logits(features[0])
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3, priors=[0.25] * 4).fit(features[0], labels)
    assert (ours.argmax(1) == theirs.predict(features[0])).mean() > 0.97  # sklearn scales features before it shrinks


def test_shrinkage_1_is_the_nearest_mean():
    features, labels = blobs(spread=3.0)
    means = np.stack([features[0][labels == k].mean(0) for k in range(4)])
    nearest = ((features[0][:, None] - means) ** 2).sum(-1).argmin(1)
    assert (discriminant(features[0], labels, 4, 1.0).logits(features[0]).argmax(1) == nearest).all()


def test_discriminants_are_each_that_of_its_shrinkage():
    features, labels = blobs(spread=3.0)
    for shrinkage, found in zip((0.1, 0.7), discriminants(features[0], labels, 6, (0.1, 0.7)), strict=True):
        alone = discriminant(features[0], labels, 6, shrinkage)
        assert np.allclose(found.weight, alone.weight) and np.allclose(found.bias, alone.bias)


def test_shrinkage_is_what_out_of_fold_rows_prefer():
    """Classes lie apart along directions that hardly vary, as those of drawn pictures do: shrinking hides them."""
    random = np.random.default_rng(0)
    labels = np.arange(400) % 4
    features = random.standard_normal((2, 400, 30)) * np.r_[np.full(15, 8.0), np.full(15, 0.3)]
    features[:, :, 15:] += random.standard_normal((4, 15))[labels] * 0.3
    found = contend(features, labels, 4, parts(labels))
    fixed = softmax(discriminant(features[0], labels, 4, 0.5).logits(features[0]), axis=1)
    assert log_loss(labels, found.oof_probs) < log_loss(labels, fixed) / 2


@pytest.mark.parametrize("fit", [lambda f, y: discriminant(f, y, 6, 0.5), lambda f, y: logistic(f, y, 6, 0.01)])
def test_a_class_without_rows_is_answered_nowhere(fit):
    features, labels = blobs()
    assert set(fit(features[0], labels).logits(3 * features[0]).argmax(1)) <= set(range(4))


@pytest.mark.parametrize("classes", [2, 4])
def test_contender_is_calibrated_and_answers_what_it_says_out_of_fold(classes):
    features, labels = blobs(classes=classes, spread=2.5)
    fresh, truth = blobs(classes=classes, spread=2.5)  # the same centres
    found = contend(features, labels, classes, parts(labels))
    answers = softmax(found.linear.logits(fresh), axis=2).mean(0)
    assert np.allclose(found.oof_probs.sum(1), 1, atol=1e-5)
    assert sharpness(np.log(found.oof_probs[None]), labels) == pytest.approx(1, abs=0.15)
    assert log_loss(truth, answers) <= log_loss(labels, found.oof_probs) + 0.05
    assert found.loss == pytest.approx(log_loss(labels, found.oof_probs), abs=0.05)


def test_out_of_fold_rows_tell_the_truth_where_labels_are_noise():
    features, labels = blobs(dim=200, rows=120)
    noise = np.random.default_rng(1).permutation(labels)
    found = contend(np.random.default_rng(2).standard_normal(features.shape), noise, 4, parts(noise))
    assert log_loss(noise, found.oof_probs) > 1.2  # nothing can be learnt: about log 4, however well 200 features fit


def test_nothing_is_chosen_by_rows_that_were_fitted():
    features, labels = blobs(dim=200, rows=120)
    noise = np.random.default_rng(1).permutation(labels)
    found = contend(features, noise, 4, [(np.arange(120), np.arange(0))])
    fixed = discriminant(features.reshape(-1, 200), np.tile(noise, 2), 4, SHRINKAGE)
    assert found.share == 1 and (found.linear.logits(features).argmax(2) == fixed.logits(features).argmax(2)).all()


def test_rows_that_no_part_answers_have_no_probabilities():
    features, labels = blobs()
    fitted, answered = parts(labels)[0]
    found = contend(features, labels, 4, [(fitted, answered)])
    assert np.isnan(found.oof_probs[fitted]).all() and not np.isnan(found.oof_probs[answered]).any()


def test_sharpness_undoes_a_temperature():
    features, labels = blobs(spread=4.0)
    logits = logistic(features[0], labels, 4, 1.0).logits(features)
    assert sharpness(7 * logits, labels) == pytest.approx(sharpness(logits, labels) / 7, rel=0.02)
