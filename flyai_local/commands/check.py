"""Preflight: find what would fail on the platform before it does.

First the source is read, without running any of it: files, packages, arguments, the class, its answers, what is saved
and loaded, paths, devices, secrets. Then the whole chain runs once, locked in as every run: pack, unpack, train one
short epoch on a few pictures of each class, load in a fresh process, predict, score. Each finding has a stable code, a
place, a cause and a remedy (docs/check.md lists all codes); an error fails the check, a warning does not.
"""

from __future__ import annotations

import argparse
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from flyai_local.checks import sample
from flyai_local.checks.check import SECONDS, Report, Silent, check
from flyai_local.checks.findings import Severity
from flyai_local.contest.competitions import EMBEDDED, few, known_ids
from flyai_local.errors import UserError
from flyai_local.run.launch import refuse_absent
from flyai_local.run.progress import Progress, Pulse
from flyai_local.states import State
from flyai_local.submission.apart import ids
from protocol.language import counted, later, tr

EXIT_CODES = {
    0: later(
        "no error was found; there may be warnings, and one of them may be that the chain cannot end on this machine"
    ),
    1: later("at least one error; also when a sentence on stderr says why the check never began"),
    2: later("wrong usage"),
    3: later("the platform itself failed while the chain ran; this says nothing about the submission"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `check`."""
    parser.add_argument(
        "--submission", type=Path, default=Path(), metavar="DIR_OR_ZIP", help=tr("what to check (this folder)")
    )
    parser.add_argument(
        "--competition",
        metavar="ID",
        help=tr("competition to check against (the one that the submission names, if known here)"),
    )
    parser.add_argument(
        "--json", action="store_true", help=tr("print one JSON object with both languages instead of text")
    )
    parser.add_argument("--static", action="store_true", help=tr("read the source only; run nothing"))
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help=tr("folder of pretrained files, for get_remote_data and torch hub")
    )
    parser.add_argument(
        "--fresh-env",
        action="store_true",
        help=tr("run the chain in an environment made from requirements.txt (network)"),
    )
    parser.add_argument(
        "--no-isolation", action="store_true", help=tr("run the chain as a plain process even where bubblewrap works")
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=SECONDS,
        metavar="SECONDS",
        help=tr("wall clock of each phase (%(default)g)"),
    )
    parser.add_argument("--verbose", action="store_true", help=tr("show what the chain and the submission print"))


def run(args: argparse.Namespace) -> int:
    """Check the submission and print what was found."""
    _refuse(args)
    named = ids(args.submission) if args.submission.is_dir() else ()
    wanted = args.competition or next((name for name in named if name in known_ids()), next(iter(EMBEDDED)))
    with _shown(args) as progress:
        chosen = few(wanted, sample.chosen)
        report = check(
            args.submission,
            chosen,
            static=args.static,
            weights=args.weights,
            fresh_env=args.fresh_env,
            isolated=False if args.no_isolation else None,
            seconds=args.time_limit,
            progress=progress,
        )
    print(
        json.dumps(_as_json(report, chosen.id), indent=2, ensure_ascii=False) if args.json else _text(report, chosen.id)
    )
    if report.chain is not None and report.chain.state is State.CRASHED:
        return 3
    return 0 if report.ok else 1


def _shown(args: argparse.Namespace) -> AbstractContextManager[Progress]:
    """Everything with --verbose, nothing beside JSON, and else a sign of life every few seconds."""
    if args.json or args.static:
        return nullcontext(Silent())
    return nullcontext(Progress()) if args.verbose else Pulse()


def _refuse(args: argparse.Namespace) -> None:
    refuse_absent(args)
    if not 0 < args.time_limit < float("inf"):
        raise UserError(
            tr("--time-limit {time_limit} is not a time: give a number of seconds above 0", time_limit=args.time_limit)
        )


def _text(report: Report, competition_id: str) -> str:
    shown = [finding.text() for finding in report.findings]
    return "\n".join([*shown, _chain(report, competition_id), _counts(report)])


def _chain(report: Report, competition_id: str) -> str:
    """What the run of the chain came to, in one line."""
    if report.chain is None:
        return tr("chain: not run")
    ran = report.chain
    ended = (
        tr("score {total} on a few training pictures", total=ran.score.total)
        if ran.score
        else tr("ended in {state}", state=ran.state.value)
    )
    return tr(
        "chain: {ended}, {seconds:.1f} s, {peak_mb:.0f} MB, on {competition_id} (python -m flyai_local log {run_id})",
        ended=ended,
        seconds=ran.seconds,
        peak_mb=ran.peak_mb,
        competition_id=competition_id,
        run_id=ran.run_id,
    )


def _counts(report: Report) -> str:
    errors, warnings, notes = (sum(f.severity is kind for f in report.findings) for kind in Severity)
    verdict = (
        tr("failed") if not report.ok
        else tr("passed") if report.whole
        else tr("not refused, but not run to its end here")
    )  # fmt: skip
    return tr(
        "{verdict}: {errors}, {warnings}, {notes}",
        verdict=verdict,
        errors=counted("{count} error", "{count} errors", errors),
        warnings=counted("{count} warning", "{count} warnings", warnings),
        notes=counted("{count} note", "{count} notes", notes),
    )


def _as_json(report: Report, competition_id: str) -> dict[str, Any]:
    ran = report.chain
    chain = None
    if ran is not None:
        score = ran.score.total if ran.score else None
        chain = {
            "run": ran.run_id,
            "state": ran.state.value,
            "score": score,
            "seconds": round(ran.seconds, 2),
            "peak_mb": round(ran.peak_mb),
        }
    findings = [finding.as_json() for finding in report.findings]
    return {"ok": report.ok, "competition": competition_id, "chain": chain, "findings": findings}
