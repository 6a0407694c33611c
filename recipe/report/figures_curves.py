"""How training went: loss, score, learning rate and speed over the epochs of every fold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recipe.report.evidence import Evidence
from recipe.report.section import Drawing, Grid, Section, colour, draw
from recipe.runs.results import EpochLog


def section(evidence: Evidence) -> Section:
    """Four charts with a line per fold."""
    title = "How training went"
    if not evidence.logs:
        return Section(
            "curves",
            title,
            ["No epoch was trained: the score is that of the start (with a probe: of the probe). There are no curves."],
        )
    metric = evidence.metric
    drawings = [
        _lines(evidence, "loss", "Loss: training (dashed) and validation", {"--": "train_loss", "-": "valid_loss"}),
        _lines(evidence, "score", f"Validation {metric}; the dotted line is the probe", {"-": "valid_score"}, _probe),
        _lines(evidence, "lr", "Learning rate at the end of each epoch", {"-": "lr"}),
        _lines(evidence, "speed", "Pictures per second in training", {"-": "pictures_per_second"}),
    ]
    text = [
        "Training loss is measured on augmented, mixed pictures and is therefore often above the validation loss; "
        "what counts is whether "
        "the validation curve still improves at the end, and whether it turns while the training loss falls "
        "(overfitting)."
    ]
    header = [field.name for field in dataclasses.fields(EpochLog)]
    rows = [[getattr(log, name) for name in header] for log in evidence.logs]
    return Section("curves", title, text, drawings, grids=[Grid("epochs", header, rows, "Every epoch", shown=0)])


def _lines(
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
                label = f"fold {fold}" if style == "-" else None
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
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(folds) <= 12:
            figure.legend(loc="outside upper center", ncols=min(5, len(folds)))

    return draw(f"curve_{name}", caption, paint, (4.7, 3.3))


def _probe(evidence: Evidence, axes: Axes) -> None:
    for fold, known in evidence.totals.get("folds", {}).items():
        if known.get("probe") is not None:
            axes.axhline(known["probe"], linestyle=":", linewidth=1.2, color=colour(int(fold), 5))
