"""Write the zip that would be uploaded: an allow-list of files, no top-level folder, the same bytes for the same files.

app.json is made from app.yaml where it is missing. Data, caches, environments and the state for resuming stay here.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from flyai_local.checks.contents import judged, open_project
from flyai_local.checks.findings import Severity
from flyai_local.checks.project import Target
from flyai_local.errors import UserError
from flyai_local.run.causes import explain
from flyai_local.states import Code
from flyai_local.submission import appcard
from flyai_local.submission.pack import Selection, pack, select
from flyai_local.submission.refusals import MAX_FILE_MB, Refused
from protocol.language import language, later, tr

EXIT_CODES = {
    0: later("the archive is written"),
    1: later("refused: every reason is printed with file and line"),
    2: later("wrong usage"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `pack`."""
    parser.add_argument(
        "submission", type=Path, nargs="?", default=Path(), metavar="DIR", help=tr("project to pack (this folder)")
    )
    parser.add_argument(
        "--to", type=Path, default=Path("submission.zip"), metavar="ZIP", help=tr("where to write it (%(default)s)")
    )
    parser.add_argument(
        "--with-model", action="store_true", help=tr("take trained models along, without the state for resuming")
    )
    parser.add_argument(
        "--max-file-mb", type=float, default=MAX_FILE_MB, metavar="MB", help=tr("largest single file (%(default)s)")
    )
    parser.add_argument("--list", action="store_true", help=tr("name every file that goes in and every one that stays"))


def _weighed(folder: Path, selection: Selection) -> tuple[list[Refused], list[Refused]]:
    """What forbids packing, and what `check` would only warn of: by the same judgement."""
    project, _ = open_project(folder, Target()) if selection.refused else (None, [])
    errors = [each for each in selection.refused if project is None or judged(each, project) is Severity.ERROR]
    return errors, [each for each in selection.refused if each not in errors]


def run(args: argparse.Namespace) -> int:
    """Pack the project, or say everything that forbids it."""
    folder = args.submission
    if not (folder / "main.py").is_file():
        raise UserError(tr("{folder!r} holds no main.py: name the folder that does", folder=str(folder)))
    selection = select(folder, args.with_model, args.max_file_mb)
    if (folder / "app.yaml").is_file():
        appcard.parse(appcard.read_text(folder / "app.yaml"))
    for name, reason in selection.left_out.items() if args.list else ():
        print(tr("stays here: {name}: {reason}", name=name, reason=reason))
    refused, noted = _weighed(folder, selection)
    for each in noted:
        print(tr("warning: {each}; packed all the same, as no code that runs uses it", each=each))
    if refused:
        print(*refused, sep="\n")
        cause, remedy = explain(Code.PACK_REFUSED, language())
        print(f"[{Code.PACK_REFUSED.value}] {cause} {remedy}")
        return 1
    packed = pack(folder, args.to, selection)
    for name in packed.names if args.list else ():
        print(tr("packed: {name}", name=name))
    print(
        tr(
            "{archive}: {names} files, {size_bytes:,} bytes ({size_mb:.2f} MB)",
            archive=packed.archive,
            names=len(packed.names),
            size_bytes=packed.size_bytes,
            size_mb=packed.size_bytes / 2**20,
        )
    )
    print(
        tr(
            "{left_out} entries stay here (--list names them); sha256 {sha256}",
            left_out=len(packed.left_out),
            sha256=packed.sha256,
        )
    )
    return 0
