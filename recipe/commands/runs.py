"""python -m recipe runs: the experiment record in the terminal, as CSV or as a coloured page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from protocol.arguments import whole
from protocol.language import tr
from recipe.runs import record
from recipe.runs.record import (
    FILE,
    RunRow,
    as_csv,
    check_name,
    chosen,
    contests,
    difference,
    differing,
    filtered,
    ordered,
    read,
    value,
)
from recipe.system.console import duration, table
from recipe.system.template import fill

SHOWN = ("run", "competition", "metric", "score", "mean", "std", "seconds", "commit")
PAGE = Path(record.__file__).with_name("runs.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to show of which runs, and how."""
    parser.add_argument(
        "--records",
        type=Path,
        default=Path("data/output") / FILE,
        metavar="FILE",
        help=tr("the record [data/output/{file}]", file=FILE),
    )
    parser.add_argument(
        "--sort", default="", metavar="NAME", help=tr("by a column, largest or best first; as they were run without it")
    )
    parser.add_argument("--reverse", action="store_true", help=tr("the other way round"))
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help=tr("such as score>=0.9 or backbone=tf_*; repeatable"),
    )
    parser.add_argument("--competition", metavar="ID", help=tr("the runs of this competition alone"))
    parser.add_argument(
        "--columns",
        nargs="+",
        metavar="NAME",
        help=tr("these settings; by default those that differ among the runs shown"),
    )
    parser.add_argument("--limit", type=whole(), metavar="N", help=tr("the first N alone"))
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--diff", nargs=2, metavar=("A", "B"), help=tr("what differs between two runs: names, or numbers such as -1")
    )
    how.add_argument("--csv", action="store_true", help=tr("the table as CSV"))
    how.add_argument("--html", type=Path, metavar="FILE", help=tr("the table as a coloured page"))


def run(arguments: argparse.Namespace) -> int:
    """Prints or writes the table."""
    rows = read(arguments.records)
    if arguments.diff:
        print(diff_table(*(chosen(rows, text) for text in arguments.diff)))
        return 0
    own = [f"competition={arguments.competition}"] if arguments.competition else []
    found = filtered(rows, [*own, *arguments.filter])
    if arguments.sort or arguments.reverse:
        found = ordered(found, arguments.sort, arguments.reverse) if arguments.sort else found[::-1]
    found = found[: arguments.limit]
    settings = [check_name(rows, name) for name in arguments.columns] if arguments.columns else differing(found)
    if arguments.csv:
        sys.stdout.write(as_csv(found, settings))
    elif arguments.html:
        write_page(arguments.html, found, settings)
        print(tr("{found} runs in {html}", found=len(found), html=arguments.html))
    else:
        print(terminal_table(found, settings))
        print(tr("\n{found} of {rows} runs in {records}", found=len(found), rows=len(rows), records=arguments.records))
    return 0


def shown(name: str, cell: Any) -> str:
    """A cell as text."""
    if cell in (None, ""):
        return "–"
    if name == "seconds":
        return duration(cell)
    return f"{cell:.4f}" if isinstance(cell, float) and name in ("score", "mean", "std", "probe") else str(cell)


def terminal_table(rows: Sequence[RunRow], settings: Sequence[str]) -> str:
    """Aligned columns: facts, then settings, long values cut."""
    columns = [*SHOWN, *settings]
    cells = [[_cut(shown(name, value(row, name))) for name in columns] for row in rows]
    return table(columns, cells)


def _cut(text: str, length: int = 28) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def diff_table(first: RunRow, second: RunRow) -> str:
    """Two runs side by side, where they differ."""
    lines = [(name, shown(name, here), shown(name, there)) for name, here, there in difference(first, second)]
    return table(("", first["run"], second["run"]), lines) if lines else tr("the two runs do not differ")


def write_page(file: Path, rows: Sequence[RunRow], settings: Sequence[str]) -> None:
    """The coloured table: green is good, a colour per value of a setting that differs."""
    columns = ["run", "finished", *SHOWN[1:], "folds", *settings]
    cells = [
        [
            {"text": shown(name, value(row, name)), "tint": tint}
            for row, tint in zip(rows, tints(rows, name, settings), strict=True)
        ]
        for name in columns
    ]
    lines = list(zip(*cells, strict=True))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(fill(PAGE, columns=columns, lines=lines), encoding="utf-8")


def _ranks(rows: Sequence[RunRow], name: str) -> list[float]:
    """1 for the best run of each competition and metric, 0 for its worst."""
    share = {}
    for group in contests(rows):
        for place, row in enumerate(ordered(group, name)):
            share[id(row)] = 1 - place / max(1, len(group) - 1)
    return [share[id(row)] for row in rows]


def tints(rows: Sequence[RunRow], name: str, settings: Sequence[str]) -> list[str]:
    """CSS colours of a column, or none: scores from red (worst) to green (best), settings with a hue per value."""
    if name in ("score", "mean"):
        shares = _ranks(rows, name)
        return [f"hsl({120 * share:.0f} 60% 50% / .35)" for share in shares]
    if name not in settings:
        return [""] * len(rows)
    values = [str(value(row, name)) for row in rows]
    number = {text: place for place, text in enumerate(dict.fromkeys(values))}
    return [f"hsl({(number[text] * 137.5) % 360:.0f} 55% 55% / .28)" for text in values]
