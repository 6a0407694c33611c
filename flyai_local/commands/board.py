"""Ranking of the submissions of a competition, with what their runs took.

The hidden part is split by a fixed hash of the picture names into a public and a private part. Equal scores share a
rank. Below the ranking stand the runs that are not on it: without a score, unfinished, or of 'test'.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from flyai_local.board import records
from flyai_local.board.board import RANKED_BY, Entry, ranked_runs, ranking
from flyai_local.board.records import Run
from flyai_local.contest.competitions import known_ids
from flyai_local.errors import UserError
from flyai_local.listing import aligned, duration, megabytes, moment
from flyai_local.remote import told
from flyai_local.remote.account import contest_of, known_site
from flyai_local.run.causes import explain

EXIT_CODES = {
    0: "the board was printed",
    1: "no such competition or run, or the records cannot be read: a sentence on stderr says which",
    2: "wrong usage",
}
OTHER_RUNS = 10  # newest runs without a rank that are listed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``board``."""
    parser.add_argument("--competition", metavar="ID", help="only this competition (every one that has runs)")
    parser.add_argument("--by", choices=tuple(RANKED_BY), default="public", help="score that ranks (%(default)s)")
    parser.add_argument("--detail", type=int, metavar="N", help="everything about run N: time, memory, size, classes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--site", action="store_true", help="of the contest's site that 'login' opened")


def run(args: argparse.Namespace) -> int:
    """Print the boards, or the detail of one run."""
    if args.site:
        site = known_site()
        found = site.ask("GET", f"/api/c/{contest_of(site, args.competition)}/board")
        print(_json(found) if args.json else told.board(found))
        return 0
    book = records.open()
    if args.detail is not None:
        chosen = book.run(args.detail)
        print(_json(_described(chosen)) if args.json else _detail(chosen))
        return 0
    runs = book.runs(args.competition)
    if args.competition is not None and not runs and args.competition not in known_ids():
        raise UserError(f"there is no competition {args.competition!r}; known: {', '.join(known_ids())}")
    names = sorted({run.competition for run in runs}) if args.competition is None else [args.competition]
    boards = {name: [run for run in runs if run.competition == name] for name in names}
    if args.json:
        print(_json({name: _board_json(own, args.by) for name, own in boards.items()}))
    else:
        print("\n\n".join(_board(name, own, args.by) for name, own in boards.items()) or _empty(None))
    return 0


def _board(name: str, runs: list[Run], by: str) -> str:
    entries = ranking(runs, by)
    metric = f" ({entries[0].run.metric})" if entries and entries[0].run.metric != "accuracy" else ""
    parts = [f"{name}: {len(entries)} ranked by the {'total' if by == 'score' else by} score{metric}, in percent"]
    if entries:
        header = ("rank", "submission", "run", "public", "private", "score", "tries", "time", "memory", "size", "when")
        parts.append(aligned([header, *(_line(entry) for entry in entries)]))
    others = _others(runs)
    if others:
        parts.append("not ranked:\n" + aligned([_other(run) for run in others[-OTHER_RUNS:]]))
    return "\n".join(parts) if runs else _empty(name)


def _line(entry: Entry) -> tuple[object, ...]:
    run = entry.run
    scores = (run.public_score, run.private_score, run.score)
    used = (duration(run.seconds), megabytes(run.peak_mb), megabytes(run.size_bytes / 2**20), moment(run.queued))
    return (entry.rank, run.name, run.id, *scores, entry.tries, *used)


def _others(runs: list[Run]) -> list[Run]:
    ranked = {run.id for run in ranked_runs(runs)}
    return [run for run in runs if run.id not in ranked]


def _other(run: Run) -> tuple[object, ...]:
    counted = "a try" if run.counts and run.command != "test" else "no try"
    state = run.state.value + (f" by {run.metric}" if run.metric else "")
    return (
        f"run {run.id}",
        run.name,
        run.command,
        state,
        run.code.value if run.code else None,
        counted,
        moment(run.queued),
    )


def _empty(name: str | None) -> str:
    command = "python -m flyai_local train" + (f" --competition {name}" if name else "")
    return f"No runs{f' of {name}' if name else ''} yet. Make one with: {command}"


def _detail(run: Run) -> str:
    facts: list[tuple[str, object]] = [
        ("run", run.id),
        ("submission", run.name),
        ("competition", run.competition),
        ("command", run.command),
        ("state", run.state.value + (f" ({run.code.value})" if run.code else "")),
        ("reason", " ".join(filter(None, [explain(run.code)[0] if run.code else "", run.detail])) or None),
        ("counts", "as a try" if run.counts and run.command != "test" else "not as a try"),
        ("queued", moment(run.queued)),
        ("time", duration(run.seconds)),
        ("memory", megabytes(run.peak_mb)),
        ("size", megabytes(run.size_bytes / 2**20)),
        ("sha256", run.sha256 or None),
        ("metric", run.metric),
        ("score", run.score),
        ("public", run.public_score),
        ("private", run.private_score),
        *((f"class {name}", percent) for name, percent in run.per_class.items()),
    ]
    return aligned(facts)


def _described(run: Run) -> dict[str, object]:
    return {**asdict(run), "state": run.state.value, "code": run.code.value if run.code else None, "counts": run.counts}


def _board_json(runs: list[Run], by: str) -> dict[str, object]:
    ranked = [{"rank": entry.rank, "tries": entry.tries, **_described(entry.run)} for entry in ranking(runs, by)]
    return {"by": by, "ranked": ranked, "other": [_described(run) for run in _others(runs)]}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
