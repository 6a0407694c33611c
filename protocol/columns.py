"""The options by which commands are told how a table of pictures is read: its columns, its encoding, its pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from protocol.language import tr

IMAGE, LABEL = "image_path", "label"  # columns where nobody names others


def add_columns(
    parser: argparse.ArgumentParser, unless: str = "", labels: str = "", images: bool = True, groups: bool = False
) -> None:
    """--image-column, --label-column and --encoding, with --images and --group-column where they are asked for.

    Args:
        unless: where else a column's name may come from, such as "or as the run has it"; the parser then gives None
            for a column that is not named.
        labels: what the column of labels is for; by default it holds them.
        images: whether the pictures may lie elsewhere than beside the CSV.
        groups: whether rows may belong together.
    """
    told = f", {unless}" if unless else ""
    if images:
        parser.add_argument(
            "--images", type=Path, metavar="DIR",
            help=tr("folder that the CSV's paths are relative to; the CSV's own by default"),
        )  # fmt: skip
    for option, default, what in (
        ("--image-column", IMAGE, tr("column of the CSV that holds the paths")),
        ("--label-column", LABEL, labels or tr("column of the CSV that holds the labels")),
    ):
        parser.add_argument(
            option, metavar="NAME", default=None if unless else default, help=f"{what} [{default}{told}]"
        )
    if groups:
        parser.add_argument(
            "--group-column", metavar="NAME", help=tr("column of the CSV whose equal values stay in one fold")
        )
    parser.add_argument("--encoding", default="", metavar="NAME", help=tr("of the CSV, such as cp1252 [UTF-8, or GBK]"))
