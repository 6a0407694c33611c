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

__all__ = ["EXIT_CODES", "add_run_options", "add_training_options", "launch"]

EXIT_CODES = {
    0: "the run ended with a score",
    1: "the run ended without a score (its code, cause and remedy are printed), or a sentence says why it never began",
    2: "wrong usage",
    3: "the platform itself failed; the run does not count",
    130: "stopped by Ctrl-C (129 by SIGHUP, 143 by SIGTERM); the run does not count",
}


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that runs a submission."""
    parser.add_argument(
        "--competition", metavar="ID", help="competition to run on (the one that the submission names, if known here)"
    )
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="folder of pretrained files, for get_remote_data and torch hub"
    )
    parser.add_argument(
        "--fresh-env", action="store_true", help="install requirements.txt into an environment of its own"
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "bubblewrap", *engine.ENGINES),
        default="auto",
        help="what locks the submission in (%(default)s: bubblewrap where it works)",
    )
    parser.add_argument("--image", metavar="NAME", help="of podman or docker, with Python and the packages inside")
    parser.add_argument(
        "--no-isolation", action="store_true", help="run as a plain process even where bubblewrap works"
    )
    parser.add_argument(
        "--time-limit",
        type=time_in("seconds"),
        metavar="SECONDS",
        help="wall clock of each phase (local policy has its own)",
    )
    parser.add_argument(
        "--memory-limit", type=_positive, metavar="MB", help="memory of all processes together (80 %% of the machine)"
    )
    parser.add_argument("--quiet", action="store_true", help="do not show what the submission prints; the log keeps it")


def add_training_options(parser: argparse.ArgumentParser, epochs: int) -> None:
    """Options of the commands that train."""
    parser.add_argument(
        "--submission", type=Path, default=Path(), metavar="DIR_OR_ZIP", help="what to run (this folder)"
    )
    parser.add_argument("-e", "--epochs", type=_positive, default=epochs, help="passed to main.py as -e (%(default)s)")
    parser.add_argument("-b", "--batch", type=_positive, default=32, help="passed to main.py as -b (%(default)s)")
    add_run_options(parser)


def launch(args: argparse.Namespace, command: str, training: Limits, sample: int | None = None) -> int:
    """Run what the options describe and print its end; returns the exit code."""
    if not args.submission.exists():
        raise UserError(f"there is no folder or archive {str(args.submission)!r}: give --submission DIR_OR_ZIP")
    if args.weights is not None and not args.weights.is_dir():
        raise UserError(f"there is no folder {str(args.weights)!r}: --weights names a folder of pretrained files")
    container = _engine(args)
    if not args.no_isolation and container is None and bubblewrap.program() is None:
        say(
            "bubblewrap is absent or does not work here: this run is not isolated. Run only submissions that you trust."
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
        say("running as root: a hole in the kernel would be root's. Let a host run as a user of its own.")
    if args.engine == "bubblewrap" and bubblewrap.program() is None:
        raise UserError("--engine bubblewrap: it is absent or does not work here; take podman or docker")
    if args.engine not in engine.ENGINES:
        return None
    found = engine.program(args.engine)
    if found is None:
        raise UserError(f"--engine {args.engine}: it is absent or does not answer '{args.engine} info' here")
    if not args.image:
        raise UserError(f"--engine {args.engine} needs --image NAME: an image that holds Python and the packages")
    return found


def _competition(args: argparse.Namespace) -> Competition:
    """The competition of --competition; else the first known one that the submission names, or the embedded one."""
    if args.competition is None:
        named = ids(args.submission) if args.submission.is_dir() else ()
        args.competition = next((name for name in named if name in known_ids()), next(iter(EMBEDDED)))
        say(f"competition: {args.competition} (choose another with --competition ID)")
    chosen = competition(args.competition)
    if chosen.hidden is None:
        raise UserError(
            f"{chosen.id} has no hidden part, so nothing can be scored: add it again with --hidden 0.25 --replace"
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
        say(f"note: {note}")
    say(
        f"run {result.run_id}: {result.state.value} after {result.seconds:.1f} s, "
        f"at most {result.peak_mb:.0f} MB of memory"
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
        f"{result.score.metric}: public {result.score.public}, private {result.score.private} "
        f"({result.score.correct} of {result.score.rows} rows right)"
    )
    say("per class: " + ", ".join(f"{name} {percent:g}" for name, percent in result.score.per_class.items()))
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
        return f"not on the board: a test, or an earlier run of the same archive stands higher ({more})"
    return f"rank {own.rank} of {len(entries)} on the board of {chosen.id} by the public score ({more})"


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is too small: give 1 or more")
    return value
