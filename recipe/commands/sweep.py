"""python -m recipe sweep FILE.yaml: tries settings against each other; stopped, the same command goes on."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from protocol.arguments import whole
from protocol.errors import UserError
from protocol.language import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, and what this start changes of it."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help=tr("the sweep; docs/sweeps.md describes it, examples/sweeps/ holds some"),
    )
    parser.add_argument("--data", metavar="FOLDER", help=tr("the pictures, instead of those that the file names"))
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", dest="changes", help=tr("settings for all rows")
    )
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help=tr("seeds instead of those in the file"))
    parser.add_argument(
        "--workers", type=whole(), metavar="N", help=tr("rows at the same time, each in its own process")
    )
    parser.add_argument(
        "--threads", type=whole(0), default=0, metavar="N", help=tr("threads of each worker; 0 shares the cores [0]")
    )
    parser.add_argument(
        "--on", default="", metavar="WHERE",
        help=tr("rows as tasks: local:N at a time here, slurm[:PARTITION] or ray://HOST:PORT; docs/scale.md"),
    )  # fmt: skip
    parser.add_argument("--retry", action="store_true", help=tr("run failed rows again"))
    parser.add_argument("--list", action="store_true", help=tr("list the rows and end"))
    parser.add_argument(
        "--report-only", action="store_true", help=tr("write tables and pictures of what is finished; run nothing")
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=tr("folder of the results [data/output/sweeps/NAME]"))
    parser.add_argument(
        "--study", type=Path, metavar="FILE",
        help=tr("also write the rows as a study of optuna's into this SQLite file, for optuna-dashboard"),
    )  # fmt: skip
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help=tr("also write the table as a section of this file")
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs what is not finished yet, then writes the tables and pictures. Exit code 1 if a row failed."""
    from recipe.sweep.engine import Sweep, run_sweep
    from recipe.sweep.file import read_sweep
    from recipe.sweep.objective import objective_of
    from recipe.sweep.rows import listed_rows

    changed = {"data": arguments.data, "seeds": arguments.seeds, "workers": arguments.workers}
    file = read_sweep(arguments.file, changed, _settings(arguments.changes))
    if arguments.list:
        print(
            "\n".join(row.name for row in listed_rows(file))
            or tr("{trials} rows, chosen by {search} as the sweep goes on", trials=file.trials, search=file.search)
        )
        return 0
    sweep = Sweep(file, arguments.out or Path("data/output/sweeps") / file.name, objective_of(file))
    interrupted = False
    try:
        if not arguments.report_only:
            if arguments.on:
                from recipe.sweep.elsewhere import Elsewhere

                Elsewhere(sweep, arguments.on).run(arguments.retry)
            else:
                run_sweep(sweep, file.workers, arguments.threads, arguments.retry)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        failed = _report(sweep, arguments)
    if interrupted:
        print(tr("interrupted; what is finished is kept, and the same command goes on."), file=sys.stderr)
        return 130
    return 1 if failed else 0


def _report(sweep, arguments: argparse.Namespace) -> int:  # type: ignore[no-untyped-def]
    """Writes and prints what is finished; the number of failed tasks."""
    from recipe.sweep.page import terminal, write_markdown, write_tables
    from recipe.sweep.pictures import write_pictures
    from recipe.sweep.summary import summarise
    from recipe.system.console import say

    summary = summarise(sweep)
    if not summary.began:
        return 0
    page = write_tables(sweep.folder, summary, write_pictures(sweep.folder, sweep.file, summary))
    say("\n" + terminal(summary))
    say(tr("\npage     {page}", page=page))
    if arguments.study:
        from recipe.sweep.study import write_study

        say(tr("study    {file}, {rows} rows: optuna-dashboard sqlite:///{file}", file=arguments.study,
               rows=write_study(sweep, arguments.study)))  # fmt: skip
    if arguments.markdown:
        write_markdown(arguments.markdown, summary, time.strftime("%Y-%m-%d %H:%M"), arguments.file.as_posix())
        say(tr("section  {markdown}", markdown=arguments.markdown))
    return sum(row.count("failed") for row in summary.rows)


def _settings(changes: list[str]) -> dict[str, str]:
    """`epochs=3 views=identity()` as settings; their values are checked with the rows."""
    for change in changes:
        if "=" not in change:
            raise UserError(
                tr("--set {change!r} is refused: write NAME=VALUE, for example --set epochs=3.", change=change)
            )
    return dict(change.split("=", 1) for change in changes)
