"""What a run printed, phase by phase, as its participant may see it, and why it ended.

The platform's own notes and the hidden labels are in none of these logs.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from pathlib import Path

from flyai_local.board import records
from flyai_local.board.records import Run
from flyai_local.errors import UserError
from flyai_local.remote import told
from flyai_local.remote.account import known_site
from flyai_local.run.progress import failure
from protocol.arguments import whole
from protocol.language import later, tr

EXIT_CODES = {
    0: later("the log was printed"),
    1: later("no such run or phase, or its log file is gone: a sentence on stderr says which"),
    2: later("wrong usage"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``log``."""
    parser.add_argument("run", type=whole(), metavar="N", help=tr("number of the run, as 'board' shows it"))
    parser.add_argument("--phase", metavar="PHASE", help=tr("only this phase, for instance train or evaluate"))
    parser.add_argument("--tail", type=whole(), metavar="K", help=tr("only the last K lines of each phase"))
    parser.add_argument("--json", action="store_true", help=tr("print JSON: the lines of every phase"))
    parser.add_argument(
        "--site", action="store_true", help=tr("of submission N at the contest's site that 'login' opened")
    )


def run(args: argparse.Namespace) -> int:
    """Print the logs of a run, then how it ended."""
    if args.site:
        return _of_site(args)
    book = records.open()
    chosen, logs = book.run(args.run), book.logs(args.run)
    if args.phase is not None:
        if args.phase not in logs:
            known = ", ".join(logs) or tr("none, because it ended before any began")
            raise UserError(
                tr(
                    "run {id} has no log of a phase {phase!r}; it has: {known}",
                    id=chosen.id,
                    phase=args.phase,
                    known=known,
                )
            )
        logs = {args.phase: logs[args.phase]}
    lines = {phase: _lines(path, args.tail) for phase, path in logs.items()}
    if args.json:
        code = chosen.code.value if chosen.code else None
        ended = {"run": chosen.id, "state": chosen.state.value, "code": code, "detail": chosen.detail}
        print(json.dumps({**ended, "logs": lines}, ensure_ascii=False, indent=2))
        return 0
    for phase, text in lines.items():
        print(f"--- {phase} ({logs[phase]})", *text, sep="\n")
    print(_ending(chosen))
    return 0


def _of_site(args: argparse.Namespace) -> int:
    """The log of a submission at a contest's site, and how it stands."""
    site, text, start = known_site(), "", 0
    while piece := site.ask("GET", f"/api/s/{args.run}/log?from={start}"):
        text, start = text + piece["text"], piece["next"]
        if not piece["text"]:
            break
    lines = told.log(text).splitlines()[-args.tail if args.tail else None :]
    now = site.ask("GET", f"/api/s/{args.run}")
    if args.json:
        print(json.dumps({**now, "log": lines}, ensure_ascii=False, indent=2))
    else:
        print(*lines, told.ending(now) if now["ended"] else told.waiting(now), sep="\n")
    return 0


def _ending(run: Run) -> str:
    state = tr(
        "--- run {id} of {name} on {competition}: {state}",
        id=run.id,
        name=run.name,
        competition=run.competition,
        state=run.state.value,
    )
    if run.code is None:
        return state + (tr(", score {score}", score=run.score) if run.score is not None else "")
    return f"{state}\n{failure(run.code, run.detail, [], '')}"


def _lines(path: Path, tail: int | None) -> list[str]:
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            return [line.rstrip("\n") for line in (deque(file, tail) if tail else file)]
    except FileNotFoundError as error:
        raise UserError(
            tr("the log file {path!r} is gone: somebody removed it from the folder of runs", path=str(path))
        ) from error
