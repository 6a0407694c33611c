"""The options of commands that let a trained run look at pictures of a table."""

from __future__ import annotations

import argparse
from pathlib import Path

from protocol.language import tr


def add_run(parser: argparse.ArgumentParser) -> None:
    """--run and --device: who answers, and where."""
    parser.add_argument(
        "--run", type=Path, default=Path("data/output/model"), metavar="DIR", dest="folder",
        help=tr("run folder [data/output/model]"),
    )  # fmt: skip
    parser.add_argument("--device", default="auto", help=tr("auto, cpu, cuda, cuda:N or mps [auto]"))


def add_table(parser: argparse.ArgumentParser, label_column: str) -> None:
    """How the CSV is read; `label_column` says what its column of labels is for."""
    parser.add_argument(
        "--images", type=Path, metavar="DIR",
        help=tr("folder that the CSV's paths are relative to; the CSV's own by default"),
    )  # fmt: skip
    parser.add_argument(
        "--image-column", default="image_path", help=tr("column of the CSV that holds the paths [image_path]")
    )
    parser.add_argument("--label-column", default="label", help=tr("{label_column} [label]", label_column=label_column))
    parser.add_argument("--encoding", default="", metavar="NAME", help=tr("of the CSV, such as cp1252 [UTF-8, or GBK]"))
