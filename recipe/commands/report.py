"""python -m recipe report [RUN]: the page of a finished run, everything on it as PNG or CSV, the model card."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from protocol.language import tr


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and where its pictures are if they have moved."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("data/output/model"),
        metavar="RUN",
        help=tr("run folder [data/output/model]"),
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help=tr("the competition's folder or CSV, where it is no longer where the run found it"),
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the report and says where."""
    from recipe.runs.folder import read_scores
    from recipe.system.console import duration, say

    read_scores(arguments.folder)  # refuses before the drawing libraries are imported
    from recipe.report.page import write_report
    from recipe.system.memory import keep_freed_blocks

    keep_freed_blocks()
    begin = time.perf_counter()
    page = write_report(arguments.folder, data=arguments.data)
    say(
        tr(
            "report      {page} ({size_mb:.1f} MB, {duration})",
            page=page,
            size_mb=page.stat().st_size / 2**20,
            duration=duration(time.perf_counter() - begin),
        )
    )
    say(
        tr(
            "model card  {card}\nPNG, CSV    {report}",
            card=arguments.folder / "model_card.md",
            report=arguments.folder / "report",
        )
    )
    return 0
