"""What a sweep shows: tables in the terminal, CSV and HTML, and its section of a Markdown file; pictures.py draws."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from protocol.language import later, tr
from recipe.report.section import Drawing
from recipe.sweep.summary import RowResult, Summary
from recipe.system.atomic import write_bytes
from recipe.system.console import duration
from recipe.system.console import table as aligned
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


HEADER = (
    later("row"), later("mean"), later("std"), later("seeds"), later("difference"), later("95 % interval"), "p",
    later("epochs"), later("time"), "",
)  # fmt: skip


def number(value: float, form: str = ".4f") -> str:
    """A figure, or nothing where there is none."""
    return "" if math.isnan(value) else format(value, form)


def cells(row: RowResult) -> tuple[str, ...]:
    """One line of the table, as HEADER names it."""
    difference = row.difference
    interval = ""
    if difference is not None and not math.isnan(difference.half_width):
        low, high = (f"{difference.mean + sign * difference.half_width:+.4f}" for sign in (-1, 1))
        interval = tr("{low} to {high}", low=low, high=high)
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
    parts = [tr(row.verdict)] if row.verdict else []
    parts += [tr("{count} stopped early", count=row.count("pruned"))] if row.count("pruned") else []
    if failed := row.count("failed"):
        parts.append(tr("{count} failed: {reason}", count=failed, reason=_reason(row)))
    parts += [tr("{count} not finished", count=open_)] if open_ else []
    return "; ".join(parts)


def _reason(row: RowResult) -> str:
    return next(str(state.ending["error"]).splitlines()[0] for state in row.states if state.finished == "failed")


def terminal(summary: Summary) -> str:
    """The table in characters, and the result in words."""
    return (
        aligned((f"{summary.metric}", *map(tr, HEADER[1:-1]), ""), [cells(row) for row in summary.rows])
        + f"\n\n{summary.sentence}"
    )


def write_tables(folder: Path, summary: Summary, pictures: Sequence[Drawing]) -> Path:
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


def _page(summary: Summary, pictures: Sequence[Drawing]) -> str:
    means = [row.mean for row in summary.rows if not math.isnan(row.mean)]
    low, high = (min(means), max(means)) if means else (0.0, 1.0)
    shades = [0.0 if math.isnan(row.mean) or high == low else (row.mean - low) / (high - low) for row in summary.rows]
    shades = shades if summary.higher_is_better else [1 - shade for shade in shades]
    lines = [(round(100 * shade), cells(row)) for shade, row in zip(shades, summary.rows, strict=True)]
    return fill(
        Path(__file__).with_name("sweep.html"),
        summary=summary,
        header=[*map(tr, HEADER[:-1]), ""],
        lines=lines,
        pictures=pictures,
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
