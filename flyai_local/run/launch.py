"""What `test`, `train` and `evaluate` have in common: options, the run itself, and what is printed at its end."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from flyai_local.board import records
from flyai_local.board.board import ranking
from flyai_local.box import bubblewrap, engine, limits
from flyai_local.box.limits import Limits
from flyai_local.contest.competitions import EMBEDDED, Competition, competition, known_ids
from flyai_local.errors import UserError
from flyai_local.flags import time_in
from flyai_local.run.job import Job, Result
from flyai_local.run.progress import Progress, failure
from flyai_local.run.runner import execute
from flyai_local.run.score import final_line
from flyai_local.run.stopping import stopping
from flyai_local.states import Code, State
from flyai_local.submission.apart import ids
from flyai_local.terminal import say
from protocol.arguments import whole
from protocol.language import later, tr

__all__ = ["EXIT_CODES", "add_run_options", "add_training_options", "launch"]

EXIT_CODES = {
    0: later("the run ended with a score"),
    1: later(
        "the run ended without a score (its code, cause and remedy are printed), or a sentence says why it never began"
    ),
    2: later("wrong usage"),
    3: later("the platform itself failed; the run does not count"),
    130: later("stopped by Ctrl-C (129 by SIGHUP, 143 by SIGTERM); the run does not count"),
}


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that runs a submission."""
    parser.add_argument(
        "--competition",
        metavar="ID",
        help=tr("competition to run on (the one that the submission names, if known here)"),
    )
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help=tr("folder of pretrained files, for get_remote_data and torch hub")
    )
    parser.add_argument(
        "--fresh-env", action="store_true", help=tr("install requirements.txt into an environment of its own")
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "bubblewrap", *engine.ENGINES),
        default="auto",
        help=tr("what locks the submission in (%(default)s: bubblewrap where it works)"),
    )
    parser.add_argument("--image", metavar="NAME", help=tr("of podman or docker, with Python and the packages inside"))
    parser.add_argument(
        "--no-isolation", action="store_true", help=tr("run as a plain process even where bubblewrap works")
    )
    parser.add_argument(
        "--time-limit",
        type=time_in("seconds"),
        metavar="SECONDS",
        help=tr("wall clock of each phase (local policy has its own)"),
    )
    parser.add_argument(
        "--memory-limit", type=whole(), metavar="MB", help=tr("memory of all processes together (80 %% of the machine)")
    )
    parser.add_argument(
        "--quiet", action="store_true", help=tr("do not show what the submission prints; the log keeps it")
    )


def add_training_options(parser: argparse.ArgumentParser, epochs: int) -> None:
    """Options of the commands that train."""
    parser.add_argument(
        "--submission", type=Path, default=Path(), metavar="DIR_OR_ZIP", help=tr("what to run (this folder)")
    )
    parser.add_argument(
        "-e", "--epochs", type=whole(), default=epochs, help=tr("passed to main.py as -e (%(default)s)")
    )
    parser.add_argument("-b", "--batch", type=whole(), default=32, help=tr("passed to main.py as -b (%(default)s)"))
    add_run_options(parser)


def refuse_absent(args: argparse.Namespace) -> None:
    """Nothing where the submission and the weights that the options name are there, and Python can be started.

    Raises:
        UserError: one of them is not.
    """
    bubblewrap.refuse_closed()
    if not args.submission.exists():
        raise UserError(
            tr(
                "there is no folder or archive {submission!r}: give --submission DIR_OR_ZIP",
                submission=str(args.submission),
            )
        )
    if args.weights is not None and not args.weights.is_dir():
        raise UserError(
            tr(
                "there is no folder {weights!r}: --weights names a folder of pretrained files",
                weights=str(args.weights),
            )
        )


def launch(args: argparse.Namespace, command: str, training: Limits, sample: int | None = None) -> int:
    """Run what the options describe and print its end; returns the exit code."""
    refuse_absent(args)
    container = _engine(args)
    if not args.no_isolation and container is None and bubblewrap.program() is None:
        say(
            tr(
                "bubblewrap is absent or does not work here: this run is not isolated. Run only "
                "submissions that you trust."
            )
        )
    chosen = _competition(args)
    job = Job(
        submission=args.submission,
        competition=chosen,
        command=command,
        epochs=getattr(args, "epochs", 1),
        batch=getattr(args, "batch", 32),
        sample=sample,
        weights=args.weights,
        fresh_env=args.fresh_env,
        isolated=False if args.no_isolation else None,
        train_limits=_limited(training, args, chosen),
        evaluate_limits=_limited(limits.EVALUATE, args, chosen),
        minutes=chosen.minutes,
        told_minutes=_told(args, chosen),
        engine=container,
        image=args.image or "",
    )
    with stopping():
        result = execute(job, Progress(quiet=args.quiet))
    return _report(result, job.competition)


def _engine(args: argparse.Namespace) -> str | None:
    """Path of podman or docker, if one of them was chosen; says what root should know."""
    if hasattr(os, "getuid") and os.getuid() == 0:
        say(tr("running as root: keep this machine for the contest alone; a run says first whose its processes are"))
    if args.engine == "bubblewrap" and bubblewrap.program() is None:
        raise UserError(tr("--engine bubblewrap: it is absent or does not work here; take podman or docker"))
    if args.engine not in engine.ENGINES:
        return None
    found = engine.program(args.engine)
    if found is None:
        raise UserError(
            tr("--engine {engine}: it is absent or does not answer '{engine} info' here", engine=args.engine)
        )
    if not args.image:
        raise UserError(
            tr("--engine {engine} needs --image NAME: an image that holds Python and the packages", engine=args.engine)
        )
    return found


def _competition(args: argparse.Namespace) -> Competition:
    """The competition of --competition; else the first known one that the submission names, or the embedded one."""
    if args.competition is None:
        named = ids(args.submission) if args.submission.is_dir() else ()
        args.competition = next((name for name in named if name in known_ids()), next(iter(EMBEDDED)))
        say(tr("competition: {competition} (choose another with --competition ID)", competition=args.competition))
    chosen = competition(args.competition)
    if chosen.hidden is None:
        raise UserError(
            tr(
                "{id} has no hidden part, so nothing can be scored: add it again with --hidden 0.25 --replace",
                id=chosen.id,
            )
        )
    return chosen


def _limited(bounds: Limits, args: argparse.Namespace, chosen: Competition) -> Limits:
    """The limits of a phase: local policy, or the competition's own; an option of the command goes before both."""
    own = {name: getattr(chosen, name) for name in ("memory_mb", "disk_mb", "processes")}
    given = {"seconds": args.time_limit, "memory_mb": args.memory_limit}
    return replace(bounds, **{name: value for name, value in (*own.items(), *given.items()) if value is not None})


def _told(args: argparse.Namespace, chosen: Competition) -> float | None:
    """Minutes that the submission is told to have: those of the competition, or of --time-limit, if that is less."""
    given = [chosen.minutes, args.time_limit and args.time_limit / 60]
    return min((minutes for minutes in given if minutes), default=None)


def _report(result: Result, chosen: Competition) -> int:
    for note in result.notes:
        say(tr("note: {note}", note=note))
    say(
        tr(
            "run {run_id}: {state} after {seconds:.1f} s, at most {peak_mb:.0f} MB of memory",
            run_id=result.run_id,
            state=result.state.value,
            seconds=result.seconds,
            peak_mb=result.peak_mb,
        )
    )
    if result.score is None:
        code = result.code or Code.PLATFORM_FAULT
        _say_all(failure(code, result.detail, result.tail, str(result.log or result.folder)))
        if code is Code.WRONG_COUNT:
            say(final_line(None))
        return 3 if result.state is State.CRASHED else 1
    if result.score.code is not None:
        _say_all(failure(result.score.code, result.score.detail, [], ""))
    say(
        tr(
            "{metric}: public {public}, private {private} ({correct} of {rows} rows right)",
            metric=result.score.metric,
            public=result.score.public,
            private=result.score.private,
            correct=result.score.correct,
            rows=result.score.rows,
        )
    )
    say(tr("per class: ") + ", ".join(f"{name} {percent:g}" for name, percent in result.score.per_class.items()))
    say(_rank(result, chosen))
    say(final_line(result.score.total, result.score.metric))
    return 0


def _say_all(lines: str) -> None:
    for line in lines.split("\n"):
        say(line)


def _rank(result: Result, chosen: Competition) -> str:
    """Where the run's submission stands on the board now."""
    entries = ranking(records.open().runs(chosen.id))
    own = next((entry for entry in entries if entry.run.id == result.run_id), None)
    more = f"python -m flyai_local board --competition {chosen.id}"
    if own is None:
        return tr("not on the board: a test, or an earlier run of the same archive stands higher ({more})", more=more)
    return tr(
        "rank {rank} of {entries} on the board of {id} by the public score ({more})",
        rank=own.rank,
        entries=len(entries),
        id=chosen.id,
        more=more,
    )
