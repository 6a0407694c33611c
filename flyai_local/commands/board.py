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
from protocol.arguments import whole
from protocol.language import language, later, tr

EXIT_CODES = {
    0: later("the board was printed"),
    1: later("no such competition or run, or the records cannot be read: a sentence on stderr says which"),
    2: later("wrong usage"),
}
OTHER_RUNS = 10  # newest runs without a rank that are listed

SHOWN = {"public": later("public"), "private": later("private"), "score": later("total")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``board``."""
    parser.add_argument("--competition", metavar="ID", help=tr("only this competition (every one that has runs)"))
    parser.add_argument("--by", choices=tuple(RANKED_BY), default="public", help=tr("score that ranks (%(default)s)"))
    parser.add_argument(
        "--detail", type=whole(), metavar="N", help=tr("everything about run N: time, memory, size, classes")
    )
    parser.add_argument("--json", action="store_true", help=tr("print JSON"))
    parser.add_argument("--site", action="store_true", help=tr("of the contest's site that 'login' opened"))


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
        raise UserError(
            tr(
                "there is no competition {competition!r}; known: {known_ids}",
                competition=args.competition,
                known_ids=", ".join(known_ids()),
            )
        )
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
    parts = [
        tr(
            "{name}: {entries} ranked by the {hint} score{metric}, in percent",
            name=name,
            entries=len(entries),
            hint=tr(SHOWN[by]),
            metric=metric,
        )
    ]
    if entries:
        header = (
            tr("rank"),
            tr("submission"),
            tr("run"),
            tr("public"),
            tr("private"),
            tr("score"),
            tr("tries"),
            tr("time"),
            tr("memory"),
            tr("size"),
            tr("when"),
        )
        parts.append(aligned([header, *(_line(entry) for entry in entries)]))
    others = _others(runs)
    if others:
        parts.append(tr("not ranked:\n") + aligned([_other(run) for run in others[-OTHER_RUNS:]]))
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
    counted = tr("a try") if run.counts and run.command != "test" else tr("no try")
    state = run.state.value + (tr(" by {metric}", metric=run.metric) if run.metric else "")
    return (
        tr("run {id}", id=run.id),
        run.name,
        run.command,
        state,
        run.code.value if run.code else None,
        counted,
        moment(run.queued),
    )


def _empty(name: str | None) -> str:
    command = "python -m flyai_local train" + (tr(" --competition {name}", name=name) if name else "")
    return tr(
        "No runs{hint} yet. Make one with: {command}", hint=tr(" of {name}", name=name) if name else "", command=command
    )


def _detail(run: Run) -> str:
    facts: list[tuple[str, object]] = [
        (tr("run"), run.id),
        (tr("submission"), run.name),
        (tr("competition"), run.competition),
        (tr("command"), run.command),
        (tr("state"), run.state.value + (f" ({run.code.value})" if run.code else "")),
        (
            tr("reason"),
            " ".join(filter(None, [explain(run.code, language())[0] if run.code else "", run.detail])) or None,
        ),
        (tr("counts"), tr("as a try") if run.counts and run.command != "test" else tr("not as a try")),
        (tr("queued"), moment(run.queued)),
        (tr("time"), duration(run.seconds)),
        (tr("memory"), megabytes(run.peak_mb)),
        (tr("size"), megabytes(run.size_bytes / 2**20)),
        ("sha256", run.sha256 or None),
        (tr("metric"), run.metric),
        (tr("score"), run.score),
        (tr("public"), run.public_score),
        (tr("private"), run.private_score),
        *((tr("class {name}", name=name), percent) for name, percent in run.per_class.items()),
    ]
    return aligned(facts)


def _described(run: Run) -> dict[str, object]:
    return {**asdict(run), "state": run.state.value, "code": run.code.value if run.code else None, "counts": run.counts}


def _board_json(runs: list[Run], by: str) -> dict[str, object]:
    ranked = [{"rank": entry.rank, "tries": entry.tries, **_described(entry.run)} for entry in ranking(runs, by)]
    return {"by": by, "ranked": ranked, "other": [_described(run) for run in _others(runs)]}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
