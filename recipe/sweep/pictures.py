"""The pictures of a sweep, in the style of the report: what every row scored, the way there, a heat map where the space
has two settings, and the course of a search.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from protocol.language import tr
from recipe.report.section import COLOURS, INK, SOFT, Drawing, colour, draw, in_chart, shortened
from recipe.report.sections.confusion import BLUE
from recipe.report.sections.training import epoch_axis
from recipe.sweep.file import Range, SweepFile
from recipe.sweep.summary import RowResult, Summary
from recipe.system.atomic import write_bytes

MOST_ROWS, MOST_CURVES = 30, 10  # the best of more are drawn


def write_pictures(folder: Path, file: SweepFile, summary: Summary) -> list[Drawing]:
    """Draws what can be drawn of the finished rows, and writes each as PNG."""
    drawings = pictures(file, summary)
    for drawing in drawings:
        write_bytes(folder / f"{drawing.name}.png", drawing.png)
    return drawings


def pictures(file: SweepFile, summary: Summary) -> list[Drawing]:
    """What can be drawn; nothing where no row is finished."""
    if not any(row.scores for row in summary.rows):
        return []
    wide = [key for key, values in file.space.items() if isinstance(values, Range) or len(values) > 1]
    if file.search != "grid":
        return [course(summary), curves(summary)]
    if len(wide) == 2:
        return [heat_map(wide[0], wide[1], file.space, summary), curves(summary)]
    return [scores(summary), curves(summary)]


def short_labels(values: Sequence[Any]) -> tuple[list[str], str]:
    """What differs between values, and what they share: `dim=64)` and `dim=128)` become `64` and `128`, of `dim=…)`."""
    texts = [str(value) for value in values]
    if len(texts) < 2 or not all(isinstance(value, str) for value in values):
        return texts, ""
    begin = _shared(texts)
    end = _shared([text[len(begin) :][::-1] for text in texts])[::-1]
    middles = [text[len(begin) : len(text) - len(end)] for text in texts]
    return (middles, f"{begin}…{end}") if begin + end and all(middles) else (texts, "")


def _shared(texts: list[str]) -> str:
    """The common beginning, up to a sign between words or numbers: 1024 and 1048 do not share `10`."""
    letters = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False))
    begin = "".join(column[0] for column in letters)
    ends = [end for end in range(1, len(begin) + 1) if not (begin[end - 1].isalnum() or begin[end - 1] == ".")]
    return begin[: ends[-1]] if ends else ""


def ranked(rows: Sequence[RowResult], summary: Summary) -> list[RowResult]:
    """The rows that were scored, the best first."""
    sign = -1 if summary.higher_is_better else 1
    return sorted((row for row in rows if row.scores), key=lambda row: sign * row.mean)


def scores(summary: Summary) -> Drawing:
    """Every seed's out-of-fold score of each row, its mean and one standard deviation, the best row at the top."""
    known = ranked(summary.rows, summary)[:MOST_ROWS]
    names, shared = short_labels([row.row.name for row in known])

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        places = np.arange(len(known))[::-1]
        spread = [np.nan_to_num(row.deviation) for row in known]
        means = [row.mean for row in known]
        axes.errorbar(
            means, places, xerr=spread, fmt="o", color=COLOURS[0], capsize=3, label=in_chart("mean, ± one deviation")
        )
        for place, row in zip(places, known, strict=True):
            axes.plot(row.scores, [place] * len(row.scores), "|", color=COLOURS[1], markersize=11)
        axes.plot([], [], "|", color=COLOURS[1], label=in_chart("one seed"))
        axes.set_yticks(places, [shortened(name, 28) for name in names])
        axes.set_ylim(-0.6, len(known) - 0.4)
        axes.set_xlabel(summary.metric)
        axes.set_ylabel(shared)
        figure.legend(loc="outside upper center", ncols=2)

    caption = tr("Out-of-fold {metric} of each row, the best at the top", metric=summary.metric)
    return draw("scores", caption, paint, (6.2, 1.5 + 0.28 * len(known)))


def curves(summary: Summary) -> Drawing:
    """Validation score by epoch, the start too: the mean over seeds and folds, and a band of one deviation."""
    known = ranked([row for row in summary.rows if row.curve()], summary)
    known = known or [row for row in summary.rows if row.curve()]
    names, _ = short_labels([row.row.name for row in known[:MOST_CURVES]])
    found = [row.curve() for row in known[:MOST_CURVES]]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for number, (name, curve) in enumerate(zip(names, found, strict=True)):
            epochs = sorted(curve)
            mean, spread = (np.array([how(curve[epoch]) for epoch in epochs]) for how in (np.mean, np.std))
            tint = colour(number, MOST_CURVES)
            axes.plot(epochs, mean, marker="o" if len(epochs) < 30 else "", color=tint, label=shortened(name, 28))
            axes.fill_between(epochs, mean - spread, mean + spread, alpha=0.15, color=tint)
        epoch_axis(axes, sorted({epoch for curve in found for epoch in curve}))
        axes.set_xlabel(in_chart("epoch"))
        axes.set_ylabel(summary.metric)
        figure.legend(loc="outside lower center", ncols=2)

    caption = tr("Validation {metric} by epoch", metric=summary.metric)
    if len(known) > MOST_CURVES:
        caption += tr("; the best {shown} of {rows} rows", shown=MOST_CURVES, rows=len(known))
    return draw("curves", caption, paint, (6.2, 3.6 + 0.1 * len(found)))


def heat_map(down: str, across: str, space: dict[str, Any], summary: Summary) -> Drawing:
    """Mean over seeds (and its deviation) for each pair of values; empty where nothing is finished."""
    rows, columns = space[down], space[across]
    grid, notes = np.full((len(rows), len(columns)), np.nan), {}
    for result in summary.rows:
        place = rows.index(result.row.settings[down]), columns.index(result.row.settings[across])
        grid[place] = result.mean
        deviation = "" if math.isnan(result.deviation) else f"\n±{result.deviation:.4f}"
        notes[place] = "" if math.isnan(result.mean) else f"{result.mean:.4f}{deviation}"

    def paint(figure: Figure) -> None:
        _cells(figure.add_subplot(), grid, notes, summary.higher_is_better)
        _named(figure.axes[0], (down, rows), (across, columns))

    size = (1.2 * len(columns) + 2.2, 0.7 * len(rows) + 1.6)
    caption = tr("Out-of-fold {metric}: {down} down, {across} across", metric=summary.metric, down=down, across=across)
    return draw("heat_map", caption, paint, size, wide=len(columns) > 5)


def _cells(axes: Axes, grid: np.ndarray, notes: dict[tuple[int, int], str], higher_is_better: bool) -> None:
    """The better, the darker; what is written stays legible in light and dark."""
    low, high = float(np.nanmin(grid)), float(np.nanmax(grid))
    strength = np.full(grid.shape, 0.5) if high == low else (grid - low) / (high - low)
    strength = strength if higher_is_better else 1 - strength
    axes.imshow(0.1 + 0.9 * strength, aspect="auto", cmap=BLUE, vmin=0, vmax=1, interpolation="none")
    axes.grid(visible=False)
    for (row, column), note in notes.items():
        tint = "white" if strength[row, column] > 0.5 else INK
        axes.text(column, row, note, ha="center", va="center", fontsize=9, color=tint)


def _named(axes: Axes, down: tuple[str, list[Any]], across: tuple[str, list[Any]]) -> None:
    (names, shared), (columns, of_columns) = short_labels(down[1]), short_labels(across[1])
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_ylabel(f"{down[0]} {shared}".strip())
    axes.set_xlabel(f"{across[0]} {of_columns}".strip())


def course(summary: Summary) -> Drawing:
    """Mean score of each row in the order in which they were tried, and the best so far."""
    means = np.array([row.mean for row in summary.rows])
    best = np.fmax.accumulate(means) if summary.higher_is_better else np.fmin.accumulate(means)
    places = range(1, len(means) + 1)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(places, means, "o", color=SOFT, label=in_chart("row"))
        axes.step(places, best, where="post", color=COLOURS[0], label=in_chart("best so far"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(in_chart("row, as tried"))
        axes.set_ylabel(summary.metric)
        figure.legend(loc="outside upper center", ncols=2)

    caption = tr("Out-of-fold {metric} in the order of the search", metric=summary.metric)
    return draw("search", caption, paint, (6.2, 3.6))
