"""How training went: a line per fold over the epochs, of loss, score, rate and speed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from protocol.language import tr
from recipe.report.evidence import Evidence
from recipe.report.section import Drawing, Grid, Section, colour, draw, in_chart
from recipe.runs.results import EpochLog


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
            tr("Validation {metric}; the dotted line is the probe", metric=tr(metric)),
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
        axes.set_xlabel(in_chart("epoch"))
        epoch_axis(axes, sorted({log.epoch for log in evidence.logs}))
        _room(axes, name)
        if len(folds) <= 12:
            figure.legend(loc="outside upper center", ncols=min(5, len(folds)))

    return draw(f"curve_{name}", caption, paint, (4.7, 3.3))


def epoch_axis(axes: Axes, epochs: list[int]) -> None:
    """Whole epochs, the start by its name; a few of them are ticked each, and none beside them."""
    if len(epochs) <= 8:
        axes.set_xticks(epochs, [in_chart("start") if epoch == 0 else str(epoch) for epoch in epochs])
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
