"""The pictures of a sweep: a heat map where the space has two settings, curves where it has one, the course of a search."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np

from recipe.atomic import atomic
from recipe.sweep_file import Range, SweepFile
from recipe.sweep_summary import RowResult, Summary


def write_pictures(folder: Path, file: SweepFile, summary: Summary) -> list[Path]:
    """PNG files for what can be drawn; returns their paths."""
    if not any(row.scores for row in summary.rows):
        return []
    wide = [key for key, values in file.space.items() if isinstance(values, Range) or len(values) > 1]
    listed = file.search == "grid"
    if listed and len(wide) == 2:
        return [_save(folder / "heat_map.png", heat_map(wide[0], wide[1], file.space, summary))]
    found = [_save(folder / "curves.png", curves(summary))]
    if listed and len(wide) == 1:
        found.append(_save(folder / "scores.png", scores(wide[0], summary)))
    if not listed:
        found.append(_save(folder / "search.png", course(summary)))
    return found


def _save(path: Path, figure: Any) -> Path:
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    return path


def _figure(title: str, size: tuple[float, float] = (7.5, 4.8), **axes: Any) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.add_subplot(title=title, **axes)


def short_labels(values: list[Any]) -> tuple[list[str], str]:
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
    return begin[: max((place for place in range(1, len(begin) + 1) if not (begin[place - 1].isalnum() or begin[place - 1] == ".")), default=0)]


def heat_map(down: str, across: str, space: dict[str, Any], summary: Summary) -> Any:
    """Mean over seeds (and its deviation) for each pair of values; empty where nothing is finished."""
    rows, columns = space[down], space[across]
    grid, notes = np.full((len(rows), len(columns)), np.nan), {}
    for result in summary.rows:
        place = rows.index(result.row.settings[down]), columns.index(result.row.settings[across])
        grid[place] = result.mean
        deviation = "" if math.isnan(result.deviation) else f"\n±{result.deviation:.4f}"
        notes[place] = "" if math.isnan(result.mean) else f"{result.mean:.4f}{deviation}"
    names, shared = short_labels(columns)
    figure, axes = _figure(f"{summary.name}: {summary.metric}", (1.4 * len(columns) + 2.5, 0.9 * len(rows) + 1.8),
                           xlabel=f"{across} {shared}".strip(), ylabel=f"{down} {short_labels(rows)[1]}".strip())  # fmt: skip
    shown = axes.imshow(grid, aspect="auto", cmap="viridis" if summary.higher_is_better else "viridis_r")
    axes.set_xticks(range(len(columns)), names)
    axes.set_yticks(range(len(rows)), short_labels(rows)[0])
    middle = float(np.nanmin(grid) + np.nanmax(grid)) / 2
    for (y, x), note in notes.items():
        bright = (grid[y, x] > middle) == summary.higher_is_better
        axes.text(x, y, note, ha="center", va="center", fontsize=9, color="black" if bright else "white")
    figure.colorbar(shown)
    return figure


def curves(summary: Summary, most: int = 10) -> Any:
    """Validation score by epoch: the mean over seeds and folds, and a band of one standard deviation."""
    figure, axes = _figure(f"{summary.name}: validation", xlabel="epoch", ylabel=summary.metric)
    sign = -1 if summary.higher_is_better else 1
    known = sorted((row for row in summary.rows if row.curve()), key=lambda row: sign * np.nan_to_num(row.mean, nan=-sign * np.inf))
    for row in known[:most]:
        found = row.curve()
        epochs = sorted(found)
        mean, spread = (np.array([how(found[epoch]) for epoch in epochs]) for how in (np.mean, np.std))
        (line,) = axes.plot(epochs, mean, marker="." if len(epochs) < 30 else "", label=row.row.name[:60])
        axes.fill_between(epochs, mean - spread, mean + spread, alpha=0.15, color=line.get_color())
    if len(known) > most:
        axes.set_title(f"{summary.name}: the best {most} of {len(known)} rows")
    if known:
        axes.legend(fontsize=8)
    return figure


def scores(key: str, summary: Summary) -> Any:
    """Every seed's out-of-fold score by the value of the one setting, and the mean."""
    figure, axes = _figure(f"{summary.name}: out of fold", xlabel=key, ylabel=summary.metric)
    known: list[RowResult] = [row for row in summary.rows if row.scores]
    for place, row in enumerate(known):
        axes.plot([place] * len(row.scores), row.scores, ".", color="0.6")
    axes.errorbar(range(len(known)), [row.mean for row in known], [np.nan_to_num(row.deviation) for row in known], marker="o", capsize=4)
    names, shared = short_labels([row.row.settings[key] for row in known])
    axes.set_xticks(range(len(known)), names)
    axes.set_xlabel(f"{key} {shared}".strip())
    return figure


def course(summary: Summary) -> Any:
    """Mean score of each row in the order in which they were tried, and the best so far."""
    means = np.array([row.mean for row in summary.rows])
    best = np.fmax.accumulate(means) if summary.higher_is_better else np.fmin.accumulate(means)
    figure, axes = _figure(f"{summary.name}: search", xlabel="row", ylabel=summary.metric)
    axes.plot(range(1, len(means) + 1), means, "o", color="0.6", label="row")
    axes.step(range(1, len(means) + 1), best, where="post", label="best so far")
    axes.legend()
    return figure
