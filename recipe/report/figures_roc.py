"""Curves over all thresholds: ROC and precision-recall, each class against the rest, micro and macro, with areas."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from recipe.report import numbers as one_vs_rest
from recipe.report.evidence import Evidence
from recipe.report.numbers import Curve, Curves, thinned
from recipe.report.scores import number
from recipe.report.section import SOFT, Drawing, Grid, Section, colour, draw, shortened

NAMED = 6  # classes in the legend: those of the smallest area


def section(evidence: Evidence) -> Section:
    """Both charts and their areas."""
    labels, probs = evidence.labels[evidence.scored], evidence.probs[evidence.scored]
    roc, recall = (one_vs_rest.curves(kind, labels, probs) for kind in (one_vs_rest.roc, one_vs_rest.precision_recall))
    drawings = [
        _chart(
            evidence,
            "roc",
            "ROC: each class against the rest",
            roc,
            ("false positive rate", "true positive rate"),
            steps=False,
        ),
        _chart(
            evidence,
            "precision_recall",
            "Precision and recall: each class against the rest",
            recall,
            ("recall", "precision"),
            steps=True,
        ),
    ]
    text = [
        "Every class as a yes-or-no question, over all thresholds. Micro pools all decisions, macro is the mean "
        "over classes. Only the classes "
        "with the smallest areas are named; the areas of all stand in the table of classes. With few pictures per "
        "class the precision-recall "
        "curve says more than the ROC curve, which the many easy negatives lift."
    ]
    if (absent := sum(not len(curve.horizontal) for curve in roc.classes)) > 0:
        text.append(f"{absent} classes have no curve: no picture, or no picture of another class, is among the rows.")
    points = [
        [kind, name, f"{h:.5f}", f"{v:.5f}"]
        for kind, found in (("roc", roc), ("precision_recall", recall))
        for name, curve in zip(
            (*evidence.classes, "micro", "macro"), (*found.classes, found.micro, found.macro), strict=True
        )
        for h, v in zip(*_points(curve), strict=True)
    ]
    areas = [
        ["micro", number(roc.micro.area), number(recall.micro.area)],
        ["macro", number(roc.macro.area), number(recall.macro.area)],
    ]
    grids = [
        Grid("areas", ["", "ROC area", "PR area"], areas),
        Grid("curves", ["kind", "class", "horizontal", "vertical"], points, shown=0),
    ]
    return Section("curves_over_thresholds", "Over all thresholds", text, drawings, grids=grids)


def _points(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    thin = thinned(curve, 100)
    return thin.horizontal, thin.vertical


def _chart(
    evidence: Evidence, name: str, caption: str, found: Curves, axes_names: tuple[str, str], steps: bool
) -> Drawing:
    total = len(evidence.classes)
    worst = np.argsort([curve.area if np.isfinite(curve.area) else np.inf for curve in found.classes], kind="stable")[
        :NAMED
    ].tolist()
    points = 200 if total <= 20 else 60
    style: dict[str, Any] = {"drawstyle": "steps-pre"} if steps else {}

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for label, curve in enumerate(found.classes):
            if label not in worst and len(curve.horizontal):
                thin = thinned(curve, points)
                axes.plot(thin.horizontal, thin.vertical, color=SOFT, linewidth=0.8, alpha=0.45, **style)
        for label in worst:
            thin = thinned(found.classes[label], 200)
            axes.plot(
                thin.horizontal,
                thin.vertical,
                color=colour(worst.index(label) + 2, 8),
                linewidth=1.2,
                label=f"{shortened(evidence.classes[label])} {number(found.classes[label].area, 3)}",
                **style,
            )
        for text, curve, tint in (("micro", found.micro, 0), ("macro", found.macro, 1)):
            thin = thinned(curve, 300)
            axes.plot(
                thin.horizontal,
                thin.vertical,
                color=colour(tint, 8),
                linewidth=2.4,
                label=f"{text} {number(curve.area, 3)}",
            )
        axes.set_xlabel(axes_names[0])
        axes.set_ylabel(axes_names[1])
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.02)
        axes.legend(loc="lower left" if steps else "lower right")

    return draw(name, caption, paint, (4.7, 4.3))
