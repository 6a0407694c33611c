"""The frame of every benchmark: candidates in turn, then a table in the terminal, in JSON and docs/performance.md.

A benchmark is a module with a `measure(options)` that yields rows (dicts; rows with the same keys form one table) and
ends with

    if __name__ == "__main__":
        table.main(measure, add_flags)

Its docstring is its `--help`, and the paragraphs after the commands stand in docs/performance.md as the conditions of
its figures.
"""

from __future__ import annotations

import argparse
import inspect
import math
import os
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recipe.sweep import page as markdown
from recipe.system.atomic import write_json
from recipe.system.console import duration
from recipe.system.console import table as aligned
from recipe.system.machine import commit, machine

Row = dict[str, Any]
Work = Callable[[], object]
Measure = Callable[[argparse.Namespace], Iterable[Row]]
ROOT = Path(__file__).resolve().parent.parent
EXIT_CODES = "Exit codes: 0 measured; 1 stopped with a reason; 2 an option that does not exist; 130 interrupted."


def in_turns(
    candidates: Mapping[str, Work], rounds: int, clock: Callable[[], float] = time.perf_counter,
    within: float = math.inf,
) -> dict[str, list[float]]:  # fmt: skip
    """Seconds of every candidate in every round, by name, so that a drift of the machine meets all alike.

    Every second round goes through them backwards: a steady drift then favours none. One round before the first warms
    up and does not count. Where a candidate returns a float, that is its time: only a part of what it does counts.

    Args:
        within: seconds; a round that would end later, were it as long as the one before, is not begun. One is, always.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    end, last = clock() + within, 0.0
    for number in range(rounds + 1):
        if number > 1 and clock() + last > end:
            break
        started = clock()
        for name in list(candidates)[:: 1 if number % 2 else -1]:
            begin = clock()
            taken = candidates[name]()
            if number:
                seconds[name].append(taken if isinstance(taken, float) else clock() - begin)
        last = clock() - started
    return seconds


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median over rounds of above/below, paired by round. Limit: 1 for a candidate against itself."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def main(
    measure: Measure,
    add_flags: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
    argv: Sequence[str] | None = None,
) -> None:
    """A benchmark as a program: prints rows as they come and the whole at the end; writes what was asked for."""
    name, text = identity(measure)
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=text,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_frame_flags(parser)
    add_flags(parser)
    options = parser.parse_args(argv)
    begin, load = time.perf_counter(), load_average()
    print(f"{machine()}; {load}", flush=True)
    try:
        rows = [_shown(row) for row in measure(options)]
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    print("\n" + "\n\n".join(aligned(header, body) for header, body in tables(rows)))
    if options.json:
        write_json(options.json, [{"benchmark": name, **row} for row in rows])
    if options.markdown:
        taken = duration(time.perf_counter() - begin)
        command = " ".join([f"python -m benchmarks.{name}", *_given(parser, options)])
        lines = section(name, text, rows, f"`{command}`", f"{load}; {taken}", options.quick)
        markdown.write_section(options.markdown, f"benchmark {name}", lines, "Performance")


def _given(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Iterator[str]:
    """The flags that change what is measured, as they were given."""
    for name, value in vars(options).items():
        if name not in ("json", "markdown", "quick") and value != parser.get_default(name):
            words = value if isinstance(value, list) else [] if value is True else [value]
            yield " ".join([f"--{name.replace('_', '-')}", *(shlex.quote(str(word)) for word in words)])


def add_frame_flags(parser: argparse.ArgumentParser) -> None:
    """What every benchmark takes."""
    parser.add_argument(
        "--quick", action="store_true", help="a small case in under a minute: whether it runs, not how fast"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows, a list of objects")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="put the tables into this file, in place of the earlier ones"
    )


def identity(measure: Measure) -> tuple[str, str]:
    """Name and docstring of the benchmark that a `measure` belongs to."""
    module = inspect.getmodule(measure)
    assert module is not None
    return Path(module.__file__ or "").stem, module.__doc__ or ""


def load_average() -> str:
    """How busy the machine was before the start, in words: figures of a busy one say little."""
    return f"load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "load unknown"


def _shown(row: Row) -> Row:
    print("  " + ", ".join(f"{key} {cell(value)}" for key, value in row.items()), file=sys.stderr, flush=True)
    return row


def cell(value: object) -> str:
    """A value as a table shows it: floats with three significant digits, thousands apart, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def tables(rows: Iterable[Row]) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Header and cells of each table: rows with the same keys, in order of their first."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    for keys, members in groups.items():
        yield [key.replace("_", " ") for key in keys], [[cell(value) for value in row.values()] for row in members]


def section(
    name: str, text: str, rows: Sequence[Row], command: str, circumstances: str, quick: bool = False
) -> list[str]:
    """The benchmark's part of docs/performance.md."""
    first, *paragraphs = inspect.cleandoc(text).split("\n\n")
    about = [line for paragraph in paragraphs if not paragraph.startswith("    ") for line in (paragraph, "")]
    how = " with --quick: the figures only show that it runs" if quick else ""
    when = time.strftime("%Y-%m-%d %H:%M")
    lines = [f"## benchmarks.{name}", "", first, "", *about]
    lines += [f"{command}{how}, {when}; {machine()}; commit {commit() or 'unknown'}; {circumstances}."]
    for header, body in tables(rows):
        lines += ["", *markdown.table(header, body, left=_words(body))]
    return lines


def _words(body: Sequence[Sequence[str]]) -> list[int]:
    """Columns that hold words rather than figures."""
    figures = set("0123456789.,e+-% ")
    return [
        number for number, column in enumerate(zip(*body, strict=True)) if any(set(value) - figures for value in column)
    ]
