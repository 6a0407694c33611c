"""Whether the probabilities can be believed: reliability as it is and after a temperature."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from protocol.language import later, tr
from recipe.components.metrics import METRICS
from recipe.report.evidence import Evidence
from recipe.report.numbers import BINS, cross_fitted, reliability
from recipe.report.section import COLOURS, SOFT, Drawing, Grid, Section, draw, in_chart
from recipe.report.sections.scores import number
from recipe.serving.calibrate import fit_temperature


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
