"""What a sweep shows: tables in the terminal, CSV and HTML, its section of a Markdown file, and its pictures.

The pictures are a heat map where the space has two settings, curves where it has one, and the course of a search.
"""

from __future__ import annotations

import base64
import csv
import io
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipe.console import duration
from recipe.console import table as aligned
from recipe.sweep.file import Range, SweepFile
from recipe.sweep.summary import RowResult, Summary
from recipe.system.atomic import atomic, write_bytes
from recipe.system.machine import commit, machine
from recipe.system.template import fill


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """The lines of a table; columns are aligned to the right except those numbered in `left`."""
    rule = "".join("|---" if column in left else "|--:" for column in range(len(header))) + "|"
    return [
        "| " + " | ".join(header) + " |",
        rule,
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows),
    ]


def write_section(path: Path, name: str, lines: Sequence[str], title: str) -> None:
    """Puts lines into the file, in place of that section's earlier ones or at the end; other text stays.

    Args:
        path: the file; begun with `title` where it does not exist.
        name: what the marks call the section.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    section = "\n".join([begin, *lines, end])
    text = path.read_text(encoding="utf-8") if path.exists() else f"# {title}\n"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    text = (
        pattern.sub(lambda found: section, text)
        if pattern.search(text)
        else text.rstrip("\n") + "\n\n" + section + "\n"
    )
    write_bytes(path, text.encode("utf-8"))


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
    ends = [end for end in range(1, len(begin) + 1) if not (begin[end - 1].isalnum() or begin[end - 1] == ".")]
    return begin[: ends[-1]] if ends else ""


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
    figure, axes = _figure(
        f"{summary.name}: {summary.metric}",
        (1.4 * len(columns) + 2.5, 0.9 * len(rows) + 1.8),
        xlabel=f"{across} {shared}".strip(),
        ylabel=f"{down} {short_labels(rows)[1]}".strip(),
    )
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
    known = sorted(
        (row for row in summary.rows if row.curve()), key=lambda row: sign * np.nan_to_num(row.mean, nan=-sign * np.inf)
    )
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
    axes.errorbar(
        range(len(known)),
        [row.mean for row in known],
        [np.nan_to_num(row.deviation) for row in known],
        marker="o",
        capsize=4,
    )
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


HEADER = ("row", "mean", "std", "seeds", "difference", "95 % interval", "p", "epochs", "time", "")


def number(value: float, form: str = ".4f") -> str:
    """A figure, or nothing where there is none."""
    return "" if math.isnan(value) else format(value, form)


def cells(row: RowResult) -> tuple[str, ...]:
    """One line of the table, as HEADER names it."""
    difference = row.difference
    interval = ""
    if difference is not None and not math.isnan(difference.half_width):
        interval = f"{difference.mean - difference.half_width:+.4f} to {difference.mean + difference.half_width:+.4f}"
    return (
        row.row.name,
        number(row.mean),
        number(row.deviation),
        f"{len(row.scores)}",
        "" if difference is None else f"{difference.mean:+.4f}",
        interval,
        number(row.p, ".3f"),
        f"{row.tasks[0].config.epochs}",
        "" if math.isnan(row.seconds) else duration(row.seconds),
        words(row),
    )


def words(row: RowResult) -> str:
    """The verdict, and what did not come to its end."""
    open_ = sum(not state.finished for state in row.states)
    parts = [row.verdict] if row.verdict else []
    parts += [f"{row.count('pruned')} stopped early"] if row.count("pruned") else []
    parts += [f"{row.count('failed')} failed: {_reason(row)}"] if row.count("failed") else []
    parts += [f"{open_} not finished"] if open_ else []
    return "; ".join(parts)


def _reason(row: RowResult) -> str:
    return next(str(state.ending["error"]).splitlines()[0] for state in row.states if state.finished == "failed")


def terminal(summary: Summary) -> str:
    """The table in characters, and the result in words."""
    return aligned((f"{summary.metric}", *HEADER[1:]), [cells(row) for row in summary.rows]) + f"\n\n{summary.sentence}"


def write_tables(folder: Path, summary: Summary, pictures: list[Path]) -> Path:
    """summary.csv (a line per row), runs.csv (a line per row and seed) and sweep.html; returns the page's path."""
    _write_csv(folder / "summary.csv", [(*HEADER[:-1], "verdict"), *(cells(row) for row in summary.rows)])
    settings = sorted({key for row in summary.rows for key in row.row.settings})
    runs = [
        (
            row.row.name,
            *(row.row.settings.get(key, "") for key in settings),
            task.seed,
            state.finished or "open",
            state.ending.get("score", ""),
            state.ending.get("seconds", ""),
            task.config.epochs,
            state.claims,
            f"rows/{task.key}",
        )
        for row in summary.rows
        for task, state in zip(row.tasks, row.states, strict=True)
    ]
    _write_csv(
        folder / "runs.csv",
        [("row", *settings, "seed", "state", "score", "seconds", "epochs", "claims", "folder"), *runs],
    )
    write_bytes(folder / "sweep.html", _page(summary, pictures).encode("utf-8"))
    return folder / "sweep.html"


def _write_csv(path: Path, lines: list[tuple[object, ...]]) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(lines)
    write_bytes(path, stream.getvalue().encode("utf-8"))


def _page(summary: Summary, pictures: list[Path]) -> str:
    means = [row.mean for row in summary.rows if not math.isnan(row.mean)]
    low, high = (min(means), max(means)) if means else (0.0, 1.0)
    shades = [0.0 if math.isnan(row.mean) or high == low else (row.mean - low) / (high - low) for row in summary.rows]
    shades = shades if summary.higher_is_better else [1 - shade for shade in shades]
    images = [(path.stem, base64.b64encode(path.read_bytes()).decode("ascii")) for path in pictures]
    lines = [(round(100 * shade), cells(row)) for shade, row in zip(shades, summary.rows, strict=True)]
    return fill(
        Path(__file__).with_name("sweep.html"),
        summary=summary,
        header=HEADER,
        lines=lines,
        images=images,
        machine=machine(),
    )


def write_markdown(path: Path, summary: Summary, when: str, source: str) -> None:
    """Puts the table into a Markdown file, in place of this sweep's earlier one; other text in the file stays."""
    identity = summary.began.get("identity", {})
    about = ", ".join(f"{key} {value}" for key, value in identity.items())
    lines = [
        f"## {summary.name}", "", f"{summary.sentence} The mean and standard deviation are over seeds; differences "
                                  "are paired by seed and fold, "
        "p values follow Nadeau and Bengio's corrected t-test and Holm's correction.", "",
        f"Written by `python -m recipe sweep {source} --markdown {path.as_posix()}` on {when}; {machine()}; "
        f"commit {commit() or 'unknown'}; {about}; {duration(summary.seconds)} of training.", "",
        *table((*HEADER[:-1], "verdict"), map(cells, summary.rows), left=(0, len(HEADER) - 1)),
    ]  # fmt: skip
    write_section(path, f"sweep {summary.name}", lines, "Results")
