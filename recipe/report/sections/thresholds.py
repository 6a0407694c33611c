"""The curves over all thresholds: ROC and precision-recall, each class against the rest, micro and macro."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from protocol.language import later, tr
from recipe.report import numbers
from recipe.report.evidence import Evidence
from recipe.report.numbers import Curve, Curves, thinned
from recipe.report.section import SOFT, Drawing, Grid, Section, colour, draw, in_chart, shortened
from recipe.report.sections.scores import number

NAMED = 6  # classes in the legend: those of the smallest area


def thresholds_section(evidence: Evidence) -> Section:
    """Both charts and their areas."""
    labels, probs = evidence.labels[evidence.scored], evidence.probs[evidence.scored]
    rates, recall = (numbers.curves(kind, labels, probs) for kind in (numbers.roc, numbers.precision_recall))
    drawings = [
        _chart(
            evidence,
            "roc",
            tr("ROC: each class against the rest"),
            rates,
            (in_chart("false positive rate"), in_chart("true positive rate")),
            steps=False,
        ),
        _chart(
            evidence,
            "precision_recall",
            tr("Precision and recall: each class against the rest"),
            recall,
            (in_chart("recall"), in_chart("precision")),
            steps=True,
        ),
    ]
    text = [
        tr(
            "Every class as a yes-or-no question, over all thresholds. Micro pools all decisions, "
            "macro is the mean over classes. Only the classes with the smallest areas are named; the "
            "areas of all stand in the table of classes. With few pictures per class the "
            "precision-recall curve says more than the ROC curve, which the many easy negatives lift."
        )
    ]
    if (absent := sum(not len(curve.horizontal) for curve in rates.classes)) > 0:
        text.append(
            tr(
                "{absent} classes have no curve: no picture, or no picture of another class, is among the rows.",
                absent=absent,
            )
        )
    points = [
        [kind, name, f"{h:.5f}", f"{v:.5f}"]
        for kind, found in (("roc", rates), ("precision_recall", recall))
        for name, curve in zip(
            (*evidence.classes, "micro", "macro"), (*found.classes, found.micro, found.macro), strict=True
        )
        for h, v in zip(*_points(curve), strict=True)
    ]
    areas = [
        ["micro", number(rates.micro.area), number(recall.micro.area)],
        ["macro", number(rates.macro.area), number(recall.macro.area)],
    ]
    grids = [
        Grid("areas", ["", later("ROC area"), later("PR area")], areas),
        Grid("curves", [later("kind"), later("class"), later("horizontal"), later("vertical")], points, shown=0),
    ]
    return Section("curves_over_thresholds", tr("Over all thresholds"), text, drawings, grids=grids)


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
        figure.legend(loc="outside lower center", ncols=2)

    return draw(name, caption, paint, (4.7, 5.0))
