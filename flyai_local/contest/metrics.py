"""What a competition may be scored by: metrics of labels, since a hosted submission answers one class per picture.

A metric takes class numbers (N,) of the labels and of the answers, and how many classes there are; an answer that is no
class has the number after the last, so it is wrong and counts as a class of its own. More is better for every one of
them, and `bounds` is its range. scikit-learn computes them; it is imported when a score is asked for. They agree with
those of the same names that training knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flyai_local.errors import UserError

__all__ = ["METRICS", "NEED_PROBABILITIES", "Metric", "find"]

Numbers = Sequence[int]
NEED_PROBABILITIES = ("top5", "log_loss", "roc_auc", "average_precision", "calibration_error")


@dataclass(frozen=True)
class Metric:
    """One way to score: the function, its range, and what the platform's last line calls it."""

    name: str
    of: Callable[[Numbers, Numbers, int], float]
    title: str
    bounds: tuple[float, float] = (0.0, 1.0)

    def percent(self, labels: Numbers, answers: Numbers, classes: int) -> float:
        """The metric times 100, rounded as the platform does: two decimals."""
        return round(self.of(labels, answers, classes) * 100, 2)


def _accuracy(labels: Numbers, answers: Numbers, classes: int) -> float:
    return sum(label == answer for label, answer in zip(labels, answers, strict=True)) / len(labels)


def _balanced_accuracy(labels: Numbers, answers: Numbers, classes: int) -> float:
    from sklearn.metrics import recall_score

    return float(recall_score(labels, answers, labels=sorted(set(labels)), average="macro", zero_division=0))


def _macro_f1(labels: Numbers, answers: Numbers, classes: int) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, answers, average="macro", zero_division=0))


def _weighted_f1(labels: Numbers, answers: Numbers, classes: int) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, answers, average="weighted", zero_division=0))


def _matthews(labels: Numbers, answers: Numbers, classes: int) -> float:
    from sklearn.metrics import matthews_corrcoef

    return 0.0 if len(set(labels)) == 1 else float(matthews_corrcoef(labels, answers))


def _kappa(labels: Numbers, answers: Numbers, classes: int) -> float:
    return _agreement(labels, answers, classes, None)


def _quadratic_kappa(labels: Numbers, answers: Numbers, classes: int) -> float:
    return _agreement(labels, answers, classes, "quadratic")


def _agreement(labels: Numbers, answers: Numbers, classes: int, weights: str | None) -> float:
    from sklearn.metrics import cohen_kappa_score

    if len({*labels, *answers}) == 1:
        return 1.0  # one class only, always right: 0 / 0 by the formula
    return float(cohen_kappa_score(labels, answers, labels=range(classes + 1), weights=weights))


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", _accuracy, "ACC"),
        Metric("balanced_accuracy", _balanced_accuracy, "balanced accuracy"),
        Metric("macro_f1", _macro_f1, "macro F1"),
        Metric("weighted_f1", _weighted_f1, "weighted F1"),
        Metric("matthews", _matthews, "Matthews correlation", (-1.0, 1.0)),
        Metric("kappa", _kappa, "Cohen's kappa", (-1.0, 1.0)),
        Metric("quadratic_kappa", _quadratic_kappa, "quadratic kappa", (-1.0, 1.0)),
    )
}


def find(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UserError: it needs probabilities, or is not known; names those that are accepted.
    """
    if name in METRICS:
        return METRICS[name]
    accepted = f"accepted: {', '.join(METRICS)}"
    if name in NEED_PROBABILITIES:
        raise UserError(
            f"the metric {name!r} needs probabilities, and a submission answers one class per picture; {accepted}"
        )
    raise UserError(f"the metric {name!r} is not known; {accepted}")
