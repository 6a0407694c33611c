"""Whether the probabilities can be believed: reliability before and after one temperature."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from recipe.components.metrics import METRICS
from recipe.report.evidence import Evidence
from recipe.report.numbers import BINS, cross_fitted, reliability
from recipe.report.scores import number
from recipe.report.section import COLOURS, SOFT, Drawing, Grid, Section, draw
from recipe.serving.calibrate import fit_temperature


def section(evidence: Evidence) -> Section:
    """Two reliability diagrams, the errors, and the temperature in words."""
    labels, probs = evidence.labels[evidence.scored], evidence.probs[evidence.scored]
    parts = evidence.fold_of[evidence.scored]
    warmth = fit_temperature(labels, probs)
    after = cross_fitted(labels, probs, parts)
    drawings = [
        _diagram("reliability_before", "Reliability as it is", labels, probs),
        _diagram("reliability_after", f"Reliability after temperature {warmth:.2f}", labels, after),
    ]
    errors = [
        [name, number(METRICS[name](labels, probs)), number(METRICS[name](labels, after))]
        for name in ("calibration_error", "log_loss")
    ]
    grids = [Grid("calibration", ["", "before", "after"], errors), _bins_grid(labels, probs, after)]
    return Section(
        "calibration", "Can the probabilities be believed", [_words(warmth), _how(parts)], drawings, grids=grids
    )


def _words(warmth: float) -> str:
    if 0.95 <= warmth <= 1.05:
        return f"The best temperature is {warmth:.2f}: the probabilities are as sure as they should be."
    kind = (
        "too sure of itself: dividing the logits by it makes it more modest"
        if warmth > 1
        else "surer than it says: dividing the logits by it sharpens it"
    )
    return (
        f"The best temperature is {warmth:.2f}: the model is {kind}. It changes no answer, only the "
        "probabilities and the log loss."
    )


def _how(parts: np.ndarray) -> str:
    fitted = (
        "fitted on the other folds"
        if len(np.unique(parts)) > 1
        else "fitted on the same pictures, so the second diagram is a little flattering"
    )
    return (
        "Bars show how often pictures of a confidence are right; on the dashed line they are as often right as "
        f"they say. The temperature is {fitted}."
    )


def _bins_grid(labels: np.ndarray, probs: np.ndarray, after: np.ndarray) -> Grid:
    first, second = reliability(labels, probs), reliability(labels, after)
    rows = [
        [f"{number_of / BINS:.3f}", *_cells(first, number_of), *_cells(second, number_of)]
        for number_of in range(BINS)
    ]  # fmt: skip
    header = ["above", "pictures", "confidence", "accuracy", "pictures after", "confidence after", "accuracy after"]
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
        upper.set_ylabel("share right")
        upper.set_xlim(0, 1)
        upper.set_ylim(0, 1)
        upper.text(0.04, 0.9, f"calibration error {error:.3f}", transform=upper.transAxes)
        lower.bar(edges, found.counts, 1 / BINS, align="edge", color=SOFT)
        lower.set_ylabel("pictures")
        lower.set_xlabel("confidence")

    return draw(name, caption, paint, (4.7, 4.3))
