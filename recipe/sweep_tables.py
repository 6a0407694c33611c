"""The tables of a sweep: terminal, CSV, HTML page and a section of a Markdown file."""

from __future__ import annotations

import base64
import csv
import io
import math
from pathlib import Path

from recipe import markdown
from recipe.atomic import write_bytes
from recipe.commit import commit
from recipe.console import duration
from recipe.console import table as aligned
from recipe.machine import machine
from recipe.sweep_summary import RowResult, Summary

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
        row.row.name, number(row.mean), number(row.deviation), f"{len(row.scores)}", "" if difference is None else f"{difference.mean:+.4f}",
        interval, number(row.p, ".3f"), f"{row.tasks[0].config.epochs}", "" if math.isnan(row.seconds) else duration(row.seconds), words(row),
    )  # fmt: skip


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
        (row.row.name, *(row.row.settings.get(key, "") for key in settings), task.seed, state.finished or "open",
         state.ending.get("score", ""), state.ending.get("seconds", ""), task.config.epochs, state.claims, f"rows/{task.key}")
        for row in summary.rows for task, state in zip(row.tasks, row.states, strict=True)
    ]  # fmt: skip
    _write_csv(folder / "runs.csv", [("row", *settings, "seed", "state", "score", "seconds", "epochs", "claims", "folder"), *runs])
    write_bytes(folder / "sweep.html", _page(summary, pictures).encode("utf-8"))
    return folder / "sweep.html"


def _write_csv(path: Path, lines: list[tuple[object, ...]]) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(lines)
    write_bytes(path, stream.getvalue().encode("utf-8"))


def _page(summary: Summary, pictures: list[Path]) -> str:
    from jinja2 import Environment, PackageLoader

    means = [row.mean for row in summary.rows if not math.isnan(row.mean)]
    low, high = (min(means), max(means)) if means else (0.0, 1.0)
    shades = [0.0 if math.isnan(row.mean) or high == low else (row.mean - low) / (high - low) for row in summary.rows]
    shades = shades if summary.higher_is_better else [1 - shade for shade in shades]
    images = [(path.stem, base64.b64encode(path.read_bytes()).decode("ascii")) for path in pictures]
    environment = Environment(loader=PackageLoader("recipe"), autoescape=True)
    lines = [(round(100 * shade), cells(row)) for shade, row in zip(shades, summary.rows, strict=True)]
    return environment.get_template("sweep.html").render(summary=summary, header=HEADER, lines=lines, images=images, machine=machine())


def write_markdown(path: Path, summary: Summary, when: str, source: str) -> None:
    """Puts the table into a Markdown file, in place of this sweep's earlier one; other text in the file stays."""
    identity = summary.began.get("identity", {})
    about = ", ".join(f"{key} {value}" for key, value in identity.items())
    lines = [
        f"## {summary.name}", "", f"{summary.sentence} The mean and standard deviation are over seeds; differences are paired by seed and fold, "
        "p values follow Nadeau and Bengio's corrected t-test and Holm's correction.", "",
        f"Written by `python -m recipe sweep {source} --markdown {path.as_posix()}` on {when}; {machine()}; "
        f"commit {commit() or 'unknown'}; {about}; {duration(summary.seconds)} of training.", "",
        *markdown.table((*HEADER[:-1], "verdict"), map(cells, summary.rows), left=(0, len(HEADER) - 1)),
    ]  # fmt: skip
    markdown.write_section(path, f"sweep {summary.name}", lines, "Results")
