"""The report's charts of lines: how training went, whether the probabilities can be believed, and the curves over all
thresholds (ROC and precision-recall, each class against the rest, micro and macro).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from protocol.language import later, tr
from recipe.components.metrics import METRICS
from recipe.report import numbers
from recipe.report.evidence import Evidence
from recipe.report.numbers import BINS, Curve, Curves, cross_fitted, reliability, thinned
from recipe.report.scores import number
from recipe.report.section import COLOURS, SOFT, Drawing, Grid, Section, colour, draw, in_chart, shortened
from recipe.runs.results import EpochLog
from recipe.serving.calibrate import fit_temperature


def training_section(evidence: Evidence) -> Section:
    """Four charts with a line per fold."""
    title = tr("How training went")
    if not evidence.logs:
        return Section(
            "curves",
            title,
            [
                tr(
                    "No epoch was trained: the score is that of the start (with a probe: of the probe). "
                    "There are no curves."
                )
            ],
        )
    metric = evidence.metric
    drawings = [
        _epochs(
            evidence, "loss", tr("Loss: training (dashed) and validation"), {"--": "train_loss", "-": "valid_loss"}
        ),
        _epochs(
            evidence,
            "score",
            tr("Validation {metric}; the dotted line is the probe", metric=metric),
            {"-": "valid_score"},
            _probe,
        ),
        _epochs(evidence, "lr", tr("Learning rate at the end of each epoch"), {"-": "lr"}),
        _epochs(evidence, "speed", tr("Pictures per second in training"), {"-": "pictures_per_second"}),
    ]
    text = [
        tr(
            "Training loss is measured on augmented, mixed pictures and is therefore often above the "
            "validation loss; what counts is whether the validation curve still improves at the end, "
            "and whether it turns while the training loss falls (overfitting)."
        )
    ]
    header = [field.name for field in dataclasses.fields(EpochLog)]
    rows = [[getattr(log, name) for name in header] for log in evidence.logs]
    return Section("curves", title, text, drawings, grids=[Grid("epochs", header, rows, tr("Every epoch"), shown=0)])


def _epochs(
    evidence: Evidence,
    name: str,
    caption: str,
    columns: dict[str, str],
    extra: Callable[[Evidence, Axes], None] | None = None,
) -> Drawing:
    folds = sorted({log.fold for log in evidence.logs})

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for fold in folds:
            own = [log for log in evidence.logs if log.fold == fold]
            for style, column in columns.items():
                label = in_chart("fold {fold}", fold=fold) if style == "-" else None
                marker = "o" if len(own) == 1 else ""
                axes.plot(
                    [log.epoch for log in own],
                    [getattr(log, column) for log in own],
                    style,
                    color=colour(fold, len(folds) + fold),
                    marker=marker,
                    label=label,
                )
        if extra:
            extra(evidence, axes)
        axes.set_xlabel("epoch")
        epoch_axis(axes, sorted({log.epoch for log in evidence.logs}))
        _room(axes, name)
        if len(folds) <= 12:
            figure.legend(loc="outside upper center", ncols=min(5, len(folds)))

    return draw(f"curve_{name}", caption, paint, (4.7, 3.3))


def epoch_axis(axes: Axes, epochs: list[int]) -> None:
    """Whole epochs, the start by its name; a few of them are ticked each, and none beside them."""
    if len(epochs) <= 8:
        axes.set_xticks(epochs, ["start" if epoch == 0 else str(epoch) for epoch in epochs])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)


LEAST_HEIGHT = 0.1  # of what an axis shows: less makes mountains of noise
SHARES = {"score"}  # whose values lie in [0, 1] or near it


def _room(axes: Axes, name: str) -> None:
    """Rates and speeds begin at 0; scores and losses show a difference of a tenth at least."""
    low, high = axes.get_ylim()
    if name in ("lr", "speed"):
        axes.set_ylim(0, 1.1 * high if high > 0 else 1)
        return
    least = LEAST_HEIGHT * (1 if name in SHARES else max(abs(low), abs(high)))
    if (missing := least - (high - low)) > 0:
        low, high = low - missing / 2, high + missing / 2
    if name in SHARES and high <= 1 + LEAST_HEIGHT and low >= -LEAST_HEIGHT:
        low, high = max(0.0, min(low, 1 - least)), min(1.0 + least / 20, max(high, least))
    axes.set_ylim(low, high)


def _probe(evidence: Evidence, axes: Axes) -> None:
    for fold, known in evidence.totals.get("folds", {}).items():
        if known.get("probe") is not None:
            axes.axhline(known["probe"], linestyle=":", linewidth=1.2, color=colour(int(fold), 5))


def calibration_section(evidence: Evidence) -> Section:
    """Two reliability diagrams, the errors, and the temperature in words."""
    labels, probs = evidence.labels[evidence.scored], evidence.probs[evidence.scored]
    parts = evidence.fold_of[evidence.scored]
    warmth = fit_temperature(labels, probs)
    after = cross_fitted(labels, probs, parts)
    drawings = [
        _diagram("reliability_before", tr("Reliability as it is"), labels, probs),
        _diagram("reliability_after", tr("Reliability after temperature {warmth:.2f}", warmth=warmth), labels, after),
    ]
    errors = [
        [name, number(METRICS[name](labels, probs)), number(METRICS[name](labels, after))]
        for name in ("calibration_error", "log_loss")
    ]
    grids = [Grid("calibration", ["", later("before"), later("after")], errors), _bins_grid(labels, probs, after)]
    return Section(
        "calibration", tr("Can the probabilities be believed"), [_words(warmth), _how(parts)], drawings, grids=grids
    )


def _words(warmth: float) -> str:
    if 0.95 <= warmth <= 1.05:
        return tr(
            "The best temperature is {warmth:.2f}: the probabilities are as sure as they should be.", warmth=warmth
        )
    kind = (
        tr("too sure of itself: dividing the logits by it makes it more modest")
        if warmth > 1
        else tr("surer than it says: dividing the logits by it sharpens it")
    )
    return tr(
        "The best temperature is {warmth:.2f}: the model is {kind}. It changes no answer, only "
        "the probabilities and the log loss.",
        warmth=warmth,
        kind=kind,
    )


def _how(parts: np.ndarray) -> str:
    fitted = (
        tr("fitted on the other folds")
        if len(np.unique(parts)) > 1
        else tr("fitted on the same pictures, so the second diagram is a little flattering")
    )
    return tr(
        "Bars show how often pictures of a confidence are right; on the dashed line they are as "
        "often right as they say. The temperature is {fitted}.",
        fitted=fitted,
    )


def _bins_grid(labels: np.ndarray, probs: np.ndarray, after: np.ndarray) -> Grid:
    first, second = reliability(labels, probs), reliability(labels, after)
    rows = [
        [f"{number_of / BINS:.3f}", *_cells(first, number_of), *_cells(second, number_of)]
        for number_of in range(BINS)
    ]  # fmt: skip
    header = [
        later("above"),
        later("pictures"),
        later("confidence"),
        later("accuracy"),
        later("pictures after"),
        later("confidence after"),
        later("accuracy after"),
    ]
    return Grid("reliability", header, rows, shown=0)


def _cells(found, place: int) -> list:  # type: ignore[no-untyped-def, type-arg]
    return [int(found.counts[place]), number(found.confidence[place]), number(found.accuracy[place])]


def _diagram(name: str, caption: str, labels: np.ndarray, probs: np.ndarray) -> Drawing:
    found = reliability(labels, probs)
    error = METRICS["calibration_error"](labels, probs)
    edges = np.arange(BINS) / BINS

    def paint(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.bar(edges, found.accuracy, 1 / BINS, align="edge", color=COLOURS[0], alpha=0.75, edgecolor="none")
        upper.plot(found.confidence, found.accuracy, "o", color=COLOURS[1], markersize=4)
        upper.plot([0, 1], [0, 1], "--", color=SOFT)
        upper.set_ylabel(in_chart("share right"))
        upper.set_xlim(0, 1)
        upper.set_ylim(0, 1)
        upper.text(0.04, 0.9, in_chart("calibration error {error:.3f}", error=error), transform=upper.transAxes)
        lower.bar(edges, found.counts, 1 / BINS, align="edge", color=SOFT)
        lower.set_ylabel(in_chart("pictures"))
        lower.set_xlabel(in_chart("confidence"))

    return draw(name, caption, paint, (4.7, 4.3))


NAMED = 6  # classes in the legend: those of the smallest area


def thresholds_section(evidence: Evidence) -> Section:
    """Both charts and their areas."""
    labels, probs = evidence.labels[evidence.scored], evidence.probs[evidence.scored]
    rates, recall = (numbers.curves(kind, labels, probs) for kind in (numbers.roc, numbers.precision_recall))
    drawings = [
        _threshold_chart(
            evidence,
            "roc",
            tr("ROC: each class against the rest"),
            rates,
            (in_chart("false positive rate"), in_chart("true positive rate")),
            steps=False,
        ),
        _threshold_chart(
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


def _threshold_chart(
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
