"""The ranking of a competition, made of the records.

Local policy: the platform showed one score. Here the hidden part is split by a fixed hash of the picture's name (see
``score.is_public``); the public score ranks by default, as the one that a participant may act on, and the private one
stands beside it. The score is the competition's metric; a run that was scored by another one, before the competition
was added anew, is not ranked. A submission (a name and the sha256 of its archive) appears once, with its best run. Runs
of ``test``, which see a sample only, are never ranked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flyai_local.board.records import Run

RANKED_BY = {"public": "public_score", "private": "private_score", "score": "score"}


@dataclass(frozen=True)
class Entry:
    """One line of the board: the best run of a submission, its rank, and how many runs of it count as tries."""

    rank: int
    run: Run
    tries: int


def ranking(runs: Sequence[Run], by: str = "public") -> list[Entry]:
    """Entries from the best to the worst; equal scores share a rank, and the next rank counts all before it (1, 1, 3).

    Among equal scores the earlier run stands first. A run without that part (a hidden part so small that the split left
    it empty) comes last.

    Raises:
        ValueError: ``by`` is none of public, private, score.
    """
    if by not in RANKED_BY:
        raise ValueError(f"a board cannot be ranked by {by!r}; known: {', '.join(RANKED_BY)}")

    def points(run: Run) -> float:
        value = getattr(run, RANKED_BY[by])
        return float("-inf") if value is None else float(value)

    best: dict[tuple[str, str], Run] = {}
    for run in ranked_runs(runs):
        key = (run.name, run.sha256)
        if key not in best or points(run) > points(best[key]):
            best[key] = run
    order = sorted(best.values(), key=lambda run: (-points(run), run.id))
    ranks = [1 + sum(points(other) > points(run) for other in order) for run in order]
    return [Entry(rank, run, tries(runs, run)) for rank, run in zip(ranks, order, strict=True)]


def ranked_runs(runs: Iterable[Run]) -> list[Run]:
    """The runs that may stand on the board: scored over the whole hidden part, by the newest such run's metric."""
    scored = [run for run in runs if run.score is not None and run.command != "test"]
    newest = {run.competition: run.metric for run in scored}  # in the order of their numbers, so the last one stays
    return [run for run in scored if run.metric == newest[run.competition]]


def tries(runs: Iterable[Run], of: Run) -> int:
    """How many runs of the same submission count: those that the platform broke off do not, nor does ``test``."""
    same = (run for run in runs if (run.competition, run.name, run.sha256) == (of.competition, of.name, of.sha256))
    return sum(run.counts and run.command != "test" for run in same)
