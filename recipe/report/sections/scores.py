"""How good: every metric with its interval, per fold, per class."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from protocol.language import later, tr
from recipe.components.metrics import METRICS, MetricError
from recipe.report.evidence import Evidence
from recipe.report.numbers import RESAMPLES, bootstrap, counts, precision_recall, roc, wilson
from recipe.report.section import COLOURS, SOFT, Drawing, Grid, Section, draw, in_chart, shortened

SLOW = {
    "roc_auc",
    "average_precision",
}  # an interval of these is computed where the classes are few, or where the run is judged by them
FEW_CLASSES = 12
TOP = 5  # classes that the metric top5 looks at


def scores_section(evidence: Evidence) -> Section:
    """Tables of scores, and the recall of every class with its interval."""
    per_class = class_grid(evidence)
    text = [
        tr(
            "All numbers come from {scored} {rows_word}. Intervals hold the true value in 19 of 20 "
            "cases: by Wilson's formula for shares of pictures, by resampling the pictures (200 "
            "times for the score that the run is judged by, else 50 or 100 times) for the others.",
            scored=len(evidence.scored),
            rows_word=evidence.rows_word,
        )
    ]
    grids = [metric_grid(evidence), *([fold_grid(evidence)] if evidence.out_of_fold else []), per_class]
    return Section("scores", tr("How good"), text, drawings=[_recalls(per_class)], grids=grids)


def score(evidence: Evidence, name: str, rows: np.ndarray | None = None) -> float:
    """A metric of some rows, by default of all scored ones; NaN where it is not defined."""
    rows = evidence.scored if rows is None else rows
    try:
        return float(METRICS[name](evidence.labels[rows], evidence.probs[rows]))
    except MetricError:
        return float("nan")


def interval(evidence: Evidence, name: str) -> tuple[float, float]:
    """95 % interval of a metric over all scored rows."""
    rows = evidence.scored
    if name == "accuracy":
        return wilson(int((evidence.answers[rows] == evidence.labels[rows]).sum()), len(rows))
    resamples = RESAMPLES if name == evidence.metric else RESAMPLES // 4 if name in SLOW else RESAMPLES // 2
    return bootstrap(METRICS[name], evidence.labels[rows], evidence.probs[rows], resamples)


def metric_grid(evidence: Evidence) -> Grid:
    """All metrics; the one that the run is judged by stands first."""
    told = [name for name in METRICS if name != "top5" or len(evidence.classes) > TOP]  # else it is always 1
    names = [evidence.metric, *(name for name in told if name != evidence.metric)]
    rows = []
    for name in names:
        low = high = float("nan")
        if name == evidence.metric or name not in SLOW or len(evidence.classes) <= FEW_CLASSES:
            low, high = interval(evidence, name)
        better = tr("higher") if METRICS[name].higher_is_better else tr("lower")
        rows.append([name, number(score(evidence, name)), number(low), number(high), better])
    return Grid(
        "metrics",
        [later("metric"), later("score"), later("from"), later("to"), later("better is")],
        rows,
        tr("All metrics, with their 95 % intervals"),
    )


def fold_grid(evidence: Evidence) -> Grid:
    """Per fold: rows, the run's metric, accuracy and its interval, the kept epoch and the probe."""
    rows = []
    for fold in evidence.folds:
        own = evidence.scored[evidence.fold_of[evidence.scored] == fold]
        right = int((evidence.answers[own] == evidence.labels[own]).sum())
        low, high = wilson(right, len(own))
        known: dict[str, Any] = evidence.totals.get("folds", {}).get(str(fold), {})
        judged = [] if evidence.metric == "accuracy" else [number(score(evidence, evidence.metric, own))]
        rows.append(
            [
                fold,
                len(own),
                *judged,
                *map(number, (right / len(own), low, high)),
                known.get("epoch", ""),
                number(known.get("probe")),
            ]
        )
    judged_by = [] if evidence.metric == "accuracy" else [evidence.metric]
    header = [
        later("fold"),
        later("pictures"),
        *judged_by,
        later("accuracy"),
        later("from"),
        later("to"),
        later("kept epoch"),
        later("probe"),
    ]
    return Grid("folds", header, rows, tr("Each fold's validation pictures"))


def class_grid(evidence: Evidence) -> Grid:
    """Per class: rows, precision, recall with its interval, F1, areas under the ROC and the precision-recall curve."""
    labels, probs = evidence.labels[evidence.scored], evidence.probs[evidence.scored]
    matrix = counts(labels, evidence.answers[evidence.scored], len(evidence.classes))
    rows = []
    for label, name in enumerate(evidence.classes):
        right, total, answered = matrix[label, label], matrix[label].sum(), matrix[:, label].sum()
        low, high = wilson(int(right), int(total))
        shares = [_share(right, answered), _share(right, total), low, high, _share(2 * right, total + answered)]
        areas = [kind(labels == label, probs[:, label]).area for kind in (roc, precision_recall)]
        rows.append([name, int(total), int(answered), *map(number, shares + areas)])
    header = [
        later("class"),
        later("pictures"),
        later("answered"),
        later("precision"),
        later("recall"),
        later("from"),
        later("to"),
        later("F1"),
        later("ROC area"),
        later("PR area"),
    ]
    return Grid("classes", header, rows, tr("Each class; the interval is that of the recall"), shown=100)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def number(value: float | None, digits: int = 4) -> str:
    """A number for a table; a dash where there is none."""
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def _recalls(grid: Grid) -> Drawing:
    """Recall with its interval and precision, worst class first; the thirty worst where there are more."""
    rows = sorted((row for row in grid.rows if row[4] != "–"), key=lambda row: float(row[4]))[:30]
    names = [shortened(row[0]) for row in rows]
    recall, low, high = (np.array([float(row[column]) for row in rows]) for column in (4, 5, 6))
    precision = np.array([np.nan if row[3] == "–" else float(row[3]) for row in rows])

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        places = np.arange(len(rows))[::-1]
        axes.hlines(places, low, high, color=SOFT, linewidth=5, alpha=0.45)
        axes.plot(recall, places, "o", color=COLOURS[0], label=in_chart("recall, with its 95 % interval"))
        axes.plot(precision, places, "D", color=COLOURS[1], markersize=5, label=in_chart("precision"))
        axes.set_yticks(places, names)
        axes.set_xlim(right=1.02)
        shown = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= 1]  # no share is 1.02
        axes.set_xticks(shown)
        figure.legend(loc="outside upper center", ncols=2)

    return draw(
        "classes",
        tr("Recall and precision of each class, the worst recall at the top"),
        paint,
        (4.7, 1.1 + 0.26 * len(rows)),
    )
