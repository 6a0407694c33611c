"""Metrics against sklearn on random predictions, their limits, and what they refuse."""

import subprocess
import sys
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from recipe.components.metrics import METRICS, MetricError


def predictions(seed: int, rows: int = 80, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Labels that hold every class, and probabilities that lean to the label."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.concatenate([np.arange(classes), rng.integers(classes, size=rows - classes)]))
    logits = rng.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[labels]
    exponents = np.exp(logits)
    return labels, exponents / exponents.sum(1, keepdims=True)


def on_answers(function: Callable[..., float], **settings: object) -> Callable[[np.ndarray, np.ndarray], float]:
    return lambda labels, probs: float(function(labels, probs.argmax(1), **settings))


REFERENCES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": on_answers(reference.accuracy_score),
    "top5": lambda labels, probs: reference.top_k_accuracy_score(labels, probs, k=5),
    "balanced_accuracy": on_answers(reference.balanced_accuracy_score),
    "macro_f1": on_answers(reference.f1_score, average="macro"),
    "weighted_f1": on_answers(reference.f1_score, average="weighted"),
    "matthews": on_answers(reference.matthews_corrcoef),
    "kappa": on_answers(reference.cohen_kappa_score),
    "quadratic_kappa": on_answers(reference.cohen_kappa_score, weights="quadratic"),
    "log_loss": reference.log_loss,
    "roc_auc": lambda labels, probs: reference.roc_auc_score(labels, probs, multi_class="ovr", average="macro"),
    "average_precision": lambda labels, probs: reference.average_precision_score(
        np.eye(probs.shape[1])[labels], probs, average="macro"
    ),
}


@pytest.mark.reference(
    "metric",
    "accuracy",
    "top5",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "matthews",
    "kappa",
    "quadratic_kappa",
    "log_loss",
    "roc_auc",
    "average_precision",
    "calibration_error",
)
@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_sklearn(name: str, seed: int) -> None:
    labels, probs = predictions(seed)
    if name == "calibration_error":
        assert METRICS.build(name, labels, probs) == pytest.approx(calibration_by_hand(labels, probs, 15))
    else:
        assert METRICS.build(name, labels, probs) == pytest.approx(REFERENCES[name](labels, probs))


def calibration_by_hand(labels: np.ndarray, probs: np.ndarray, bins: int) -> float:
    """Guo et al.'s definition, one interval after the other."""
    total = 0.0
    for interval in range(bins):
        inside = (probs.max(1) > interval / bins) & (probs.max(1) <= (interval + 1) / bins)
        if inside.any():
            right = (probs[inside].argmax(1) == labels[inside]).mean()
            total += inside.mean() * abs(right - probs[inside].max(1).mean())
    return total


@pytest.mark.parametrize("name", METRICS)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 6), rows=st.integers(6, 30))
def test_within_bounds_and_better_for_the_truth(name: str, seed: int, classes: int, rows: int) -> None:
    metric = METRICS[name]
    labels, probs = predictions(seed, rows, classes)
    score, perfect = metric(labels, probs), metric(labels, np.eye(classes)[labels])
    low, high = metric.bounds
    assert low - 1e-9 <= score <= high + 1e-9
    assert (perfect >= score - 1e-9) if metric.higher_is_better else (perfect <= score + 1e-9)
    assert perfect == pytest.approx(high if metric.higher_is_better else low)


def test_two_classes_agree_with_the_binary_form() -> None:
    labels, probs = predictions(5, classes=2)
    assert METRICS.build("roc_auc", labels, probs) == pytest.approx(reference.roc_auc_score(labels, probs[:, 1]))


@pytest.mark.limit("metric", "top5", "calibration_error")
def test_settings_and_limits() -> None:
    labels, probs = predictions(1)
    assert METRICS.build("top5(k=1)", labels, probs) == METRICS.build("accuracy", labels, probs)
    assert METRICS.build("top5(k=7)", labels, probs) == METRICS.build("top5(k=100)", labels, probs) == 1
    mean_gap = abs(probs.max(1).mean() - (probs.argmax(1) == labels).mean())
    assert METRICS.build("calibration_error(bins=1)", labels, probs) == pytest.approx(mean_gap)


def test_calibration_intervals_are_open_on_the_left() -> None:
    """0.5 belongs to (0, 0.5] and is right, 0.75 to (0.5, 1] and is wrong: |1 - 0.5| and |0 - 0.75|, not one interval
    of both.
    """
    assert METRICS.build("calibration_error(bins=2)", [0, 1], [[0.5, 0.5], [0.75, 0.25]]) == pytest.approx(
        (0.5 + 0.75) / 2
    )
    assert METRICS.build("calibration_error(bins=2)", [0, 1], [[1.0, 0.0], [0.0, 1.0]]) == 0


@pytest.mark.parametrize("name", METRICS)
def test_float32_probabilities_and_absent_classes_raise_no_warning(name: str) -> None:
    labels, probs = predictions(3, classes=7)
    kept = labels < 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(METRICS.build(name, labels[kept], probs[kept].astype(np.float32)))


def test_a_certain_mistake_is_finite() -> None:
    assert METRICS.build("log_loss", [0, 1], [[0.0, 1.0], [0.0, 1.0]]) == pytest.approx(
        -np.log(np.finfo(float).eps) / 2
    )


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"roc_auc", "average_precision"}))
def test_one_class_alone(name: str) -> None:
    score = METRICS.build(name, [0, 0], [[0.9, 0.1], [0.8, 0.2]])
    assert score == pytest.approx(
        {"log_loss": -np.log([0.9, 0.8]).mean(), "calibration_error": 0.15, "matthews": 0}.get(name, 1)
    )


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_areas_need_two_classes(name: str) -> None:
    with pytest.raises(MetricError, match="two classes"):
        METRICS.build(name, [0, 0], [[0.9, 0.1], [0.8, 0.2]])


@pytest.mark.parametrize(
    ("labels", "probs", "message"),
    [
        ([], np.zeros((0, 3)), "do not fit"),
        ([0, 1], np.ones((3, 2)), "do not fit"),
        ([0, 1], np.ones(2), "do not fit"),
        ([0, 3], np.ones((2, 3)), "from 0 to 3"),
        ([-1, 0], np.ones((2, 3)), "from -1"),
        ([0, 1], [[0.5, 0.5], [np.nan, 1.0]], "row 1"),
        ([0, 1], [[-0.5, 1.5], [0.0, 1.0]], "row 0"),
    ],
)
def test_what_does_not_fit_is_refused(labels: object, probs: object, message: str) -> None:
    for name in METRICS:
        with pytest.raises(MetricError, match=message):
            METRICS.build(name, labels, probs)


@pytest.mark.parametrize("name", METRICS)
def test_knows_direction_range_and_precision(name: str) -> None:
    metric = METRICS[name]
    assert isinstance(metric.higher_is_better, bool) and metric.bounds[0] < metric.bounds[1] and metric.precision > 0


def test_importing_metrics_does_not_import_sklearn() -> None:
    code = (
        "import sys, recipe.components.metrics as m; m.METRICS.build('log_loss', [0, 1], [[1, 0], [0, 1]]); "
        "assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
