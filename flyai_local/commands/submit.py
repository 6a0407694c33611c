"""Upload a submission to a contest: a folder is packed as `pack` does, a zip or a CSV goes as it is.

--wait shows the place in the queue and the log until the run has ended.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from flyai_local.errors import UserError
from flyai_local.remote import told
from flyai_local.remote.account import contest_of, known_site
from flyai_local.remote.site import Site, UnreachableError
from flyai_local.submission.pack import pack, select
from protocol.language import later, tr

EXIT_CODES = {
    0: later("the upload is in the queue; with --wait: the run ended with a score"),
    1: later("refused, or with --wait the run ended without a score: what is printed says why"),
    2: later("wrong usage"),
    3: later("with --wait: the platform itself failed; the run does not count"),
    130: later("stopped by Ctrl-C; the run goes on"),
}
LOOK_SECONDS = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `submit`."""
    parser.add_argument("submission", type=Path, nargs="?", default=Path(), metavar="DIR_ZIP_OR_CSV",
                        help=tr("what to upload (this folder)"))  # fmt: skip
    parser.add_argument("--contest", metavar="NAME", help=tr("which contest (the only one that you are in)"))
    parser.add_argument("--note", default="", metavar="TEXT", help=tr("a note for yourself"))
    parser.add_argument("--wait", action="store_true", help=tr("stay until the run has ended"))


def run(args: argparse.Namespace) -> int:
    """Upload, and wait where that is wished."""
    if not args.submission.exists():
        raise UserError(
            tr(
                "there is no {submission!r}: name a folder, a zip or a CSV of predictions",
                submission=str(args.submission),
            )
        )
    site = known_site()
    contest = contest_of(site, args.contest)
    with tempfile.TemporaryDirectory(prefix="flyai-") as folder:
        file = _packed(args.submission, Path(folder))
        given = site.send(f"/api/c/{contest}/submissions", file, args.note)
    print(
        tr(
            "submission {id} of {contest}: {waiting}; python -m flyai_local log {id} --site",
            id=given["id"],
            contest=contest,
            waiting=told.waiting(given),
        )
    )
    return _wait(site, int(given["id"])) if args.wait else 0


def _packed(submission: Path, folder: Path) -> Path:
    if submission.is_file():
        return submission
    selection = select(submission)
    if selection.refused:
        raise UserError(
            tr(
                "{refused}: python -m flyai_local pack lists everything that must be mended",
                refused=selection.refused[0],
            )
        )
    return pack(submission, folder / "submission.zip", selection).archive


def _wait(site: Site, number: int) -> int:
    """Show what the site tells until the end; a site that is away for a moment is asked again."""
    shown, attempt, start = "", 0, 0
    while True:
        try:
            now = site.ask("GET", f"/api/s/{number}")
            if now["attempt"] != attempt:
                attempt, start = now["attempt"], 0
            piece = site.ask("GET", f"/api/s/{number}/log?from={start}")
        except UnreachableError:
            time.sleep(LOOK_SECONDS)
            continue
        if told.waiting(now) != shown and not now["ended"]:
            shown = told.waiting(now)
            print(shown, flush=True)
        start = piece["next"]
        print(told.log(piece["text"]), end="", flush=True)
        if now["ended"] and not piece["text"]:
            print(told.ending(now))
            return 0 if now["state"] == "scored" else 3 if now["state"] == "crashed" else 1
        if not piece["text"]:
            time.sleep(LOOK_SECONDS)
