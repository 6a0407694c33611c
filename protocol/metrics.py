"""The metrics of labels alone, for training and for the board: both score by these functions, so no number differs.

    METRICS["macro_f1"].of(labels, answers, classes)

A hosted submission answers one class per picture, so the board can score by nothing else; training knows these under
the same names, and further ones of probabilities (recipe/components/metrics.py). scikit-learn computes what it has; it
is imported when a score is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = Sequence[int] | np.ndarray


@dataclass(frozen=True)
class Metric:
    """One way to score labels (N,) and answers (N,), both class numbers below `classes`; more is better.

    An answer that is no class has the number `classes`: it is wrong and counts as a class of its own.
    """

    name: str
    of: Callable[[Numbers, Numbers, int], float]  # labels, answers, classes
    title: str  # in the platform's last line
    bounds: tuple[float, float] = (0.0, 1.0)

    def percent(self, labels: Numbers, answers: Numbers, classes: int) -> float:
        """The metric times 100, rounded as the platform does: two decimals."""
        return round(self.of(labels, answers, classes) * 100, 2)


METRICS: dict[str, Metric] = {}


def metric(title: str, bounds: tuple[float, float] = (0.0, 1.0)) -> Callable[[Any], Any]:
    """Decorator: files a function under its own name, for training and board alike."""

    def register(of: Callable[[Numbers, Numbers, int], float]) -> Any:
        METRICS[of.__name__] = Metric(of.__name__, of, title, bounds)
        return of

    return register


@metric("ACC")
def accuracy(labels: Numbers, answers: Numbers, classes: int) -> float:
    """Share of rows whose most probable class is the label.

    Source: sklearn.metrics, accuracy_score.
    """
    return float((np.asarray(labels) == np.asarray(answers)).mean())


@metric("balanced accuracy")
def balanced_accuracy(labels: Numbers, answers: Numbers, classes: int) -> float:
    """Mean over classes of the share of their rows that are right; classes without rows do not count.

    Source: Brodersen et al., "The Balanced Accuracy and Its Posterior Distribution", 2010; sklearn,
    balanced_accuracy_score.
    """
    rights = np.bincount(labels, weights=np.asarray(labels) == np.asarray(answers))
    rows = np.bincount(labels)
    return float((rights[rows > 0] / rows[rows > 0]).mean())


@metric("macro F1")
def macro_f1(labels: Numbers, answers: Numbers, classes: int) -> float:
    """Mean over classes of F1, the harmonic mean of precision and recall; 0 where a class is never right.

    Source: sklearn.metrics, f1_score(average="macro"): over the classes that occur as label or answer.
    """
    return _f1(labels, answers, "macro")


@metric("weighted F1")
def weighted_f1(labels: Numbers, answers: Numbers, classes: int) -> float:
    """Mean of F1 over classes, weighted by their rows.

    Source: sklearn.metrics, f1_score(average="weighted").
    """
    return _f1(labels, answers, "weighted")


def _f1(labels: Numbers, answers: Numbers, average: str) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, answers, average=average, zero_division=0))


@metric("Matthews correlation", (-1.0, 1.0))
def matthews(labels: Numbers, answers: Numbers, classes: int) -> float:
    """Matthews correlation of labels and answers; 0 is chance, also where all rows have one label.

    Source: Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004.
    """
    from sklearn.metrics import matthews_corrcoef

    # One label: as sklearn has it, without its warning about a table of one cell.
    return 0.0 if len(set(labels)) == 1 else float(matthews_corrcoef(labels, answers))


@metric("Cohen's kappa", (-1.0, 1.0))
def kappa(labels: Numbers, answers: Numbers, classes: int) -> float:
    """Cohen's kappa: agreement above chance as a share of what is possible.

    Source: Cohen, "A Coefficient of Agreement for Nominal Scales", 1960; sklearn.metrics, cohen_kappa_score.
    """
    return _agreement(labels, answers, classes, None)


@metric("quadratic kappa", (-1.0, 1.0))
def quadratic_kappa(labels: Numbers, answers: Numbers, classes: int) -> float:
    """Cohen's kappa with errors weighted by the squared distance of class numbers: for classes that have an order.

    Source: Cohen, "Weighted Kappa", 1968; sklearn.metrics, cohen_kappa_score(weights="quadratic").
    """
    return _agreement(labels, answers, classes, "quadratic")


def _agreement(labels: Numbers, answers: Numbers, classes: int, weights: str | None) -> float:
    from sklearn.metrics import cohen_kappa_score

    if len({*labels, *answers}) == 1:
        return 1.0  # one class only, always right: sklearn divides 0 by 0
    every = np.arange(max(classes, int(np.max(answers)) + 1))
    return float(cohen_kappa_score(labels, answers, labels=every, weights=weights))
