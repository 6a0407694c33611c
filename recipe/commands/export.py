"""python -m recipe export RUN --format onnx: a run that answers faster and starts without torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from protocol.language import tr
from recipe.serving.exported import FILES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run and the format."""
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path("data/output/model"),
        metavar="RUN",
        help=tr("run folder [data/output/model]"),
    )
    parser.add_argument(
        "--format",
        choices=list(FILES),
        dest="fmt",
        help=tr(
            "onnx for OpenVINO and ONNX Runtime, openvino for OpenVINO alone, torchscript for torch without timm "
            "[onnx where a runtime is installed, else torchscript]"
        ),
    )
    parser.add_argument("--again", action="store_true", help=tr("write anew what is there and still valid"))


def run(arguments: argparse.Namespace) -> int:
    """Exports every fold that answers, members included, and prints how far each runtime is from the network."""
    from recipe.serving.export import export_fold, folds_of, format_for_here
    from recipe.system.console import Bar, say

    folds = folds_of(arguments.folder)
    fmt = arguments.fmt or format_for_here()
    with Bar(len(folds), "fold", tr("exporting to {fmt}", fmt=fmt)) as bar:
        for fold in folds:
            say(line(export_fold(fold, fmt, arguments.again), fmt, arguments.folder))
            bar.advance()
    return 0


def line(outcome, fmt: str, run_folder: Path) -> str:  # type: ignore[no-untyped-def]
    """What became of a fold, in a line."""
    proofs = [
        f"{how.removesuffix(', ' + fmt)} {difference:.1e}"
        for how, difference in outcome.proven.items()
        if how.endswith(fmt)
    ]
    shown = (
        tr("largest difference of a probability: {proofs}", proofs=", ".join(proofs))
        if proofs
        else tr("no runtime is installed to prove it; it is proven when it is loaded")
    )
    name = outcome.fold.folder.relative_to(run_folder).as_posix()
    return f"{name}  {', '.join(FILES[fmt])}  {'was there and stands; ' if outcome.already else ''}{shown}"
