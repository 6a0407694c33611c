"""The board as data: one row per participant, ranked by the public score before the reveal and by the private after.

A submission stands with its newest run that ended by itself. Before the reveal a participant's row is the best public
score. After it, the best private score among the submissions that the participant chose, filled up to `chosen_n` with
those of the best public score (the rule of Kaggle: who chose well on the public part is not saved by luck elsewhere).
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from flyai_local.states import State
from flyai_site.models import Contest, Participant, Run
from flyai_site.reveal import Figures, board_columns, board_figures

__all__ = ["Board", "Row", "Standing", "newest", "standing_runs", "standings"]

FRESH_SECONDS = 1.0  # how old the board may be
UNENDED = [state.value for state in State if not state.ended]
NOTHING = float("-inf")


@dataclass(frozen=True)
class Standing:
    """The figures of a submission that stands."""

    submission: int
    run: int
    chosen: bool
    arrived: datetime
    figures: Figures


@dataclass(frozen=True)
class Row:
    """One row of the board."""

    rank: int
    participant: int
    name: str
    public: float | None
    private: float | None
    tries: int
    arrived: datetime
    submission: int


def standing_runs(contest: Contest) -> dict[int, list[Standing]]:
    """By participant, in the order of arrival: what stands of each submission."""
    done = Run.objects.filter(
        submission__participant__contest=contest, state__in=[State.SCORED.value, State.FAILED.value]
    )
    own = ("submission__participant_id", "submission_id", "id", "submission__chosen", "submission__arrived")
    newest = {row[1]: row for row in done.order_by("id").values_list(*own, *board_columns(contest))}
    found: dict[int, list[Standing]] = defaultdict(list)
    for who, submission, run, chosen, arrived, *score in newest.values():
        shown = board_figures(*score)
        if shown is not None:
            found[who].append(Standing(submission, run, chosen, arrived, shown))
    return {who: sorted(all_of, key=lambda one: (one.arrived, one.submission)) for who, all_of in found.items()}


def standings(contest: Contest, standing: dict[int, list[Standing]] | None = None) -> list[Row]:
    """The board now, computed afresh."""
    standing = standing_runs(contest) if standing is None else standing
    revealed = contest.revealed
    tries = _tries(contest)
    names = dict(Participant.objects.filter(contest=contest, active=True).values_list("id", "name"))
    best = {who: _best(all_of, revealed, contest.chosen_n) for who, all_of in standing.items() if who in names}
    order = sorted(best.items(), key=lambda item: (-_points(item[1], revealed), item[1].arrived, item[0]))
    points = [_points(one, revealed) for _, one in order]
    ranks = {value: len(points) - at for at, value in enumerate(reversed(points))}  # of equals: the first's place
    return [
        Row(ranks[own], who, names[who], one.figures.public, one.figures.private,
            tries[who], one.arrived, one.submission)
        for own, (who, one) in zip(points, order, strict=True)
    ]  # fmt: skip


def _tries(contest: Contest) -> dict[int, int]:
    """By participant, how many tries have ended; what waits would change the board without a new version of it."""
    ended = Run.objects.filter(submission__participant__contest=contest, submission__counts=True)
    rows = ended.exclude(state__in=UNENDED).values_list("submission__participant_id", "submission_id").distinct()
    return Counter(who for who, _ in rows)


def _best(all_of: list[Standing], revealed: bool, chosen_n: int) -> Standing:
    """What stands for a participant; among equals the earlier."""
    if not revealed:
        return max(all_of, key=lambda one: _points(one, False))
    chosen = sorted(all_of, key=lambda one: (not one.chosen, -_points(one, False)))[:chosen_n]
    return max(sorted(chosen, key=lambda one: one.arrived), key=lambda one: _points(one, True))


def _points(one: Standing, private: bool) -> float:
    value = one.figures.private if private else one.figures.public
    return NOTHING if value is None else value


@dataclass(frozen=True)
class Board:
    """A board as it was at a moment: a tag that changes with it, its rows, and what they were made of. It holds no word
    about who asks.
    """

    at: float
    stamp: tuple[object, ...]
    rows: list[Row]
    standing: dict[int, list[Standing]]
    texts: dict[str, bytes] = field(default_factory=dict)

    def text(self, form: str, write: Callable[[], bytes]) -> bytes:
        """The board in a form (a language's table, JSON), written once: people ask for it again and again."""
        if form not in self.texts:
            self.texts[form] = write()
        return self.texts[form]

    def serves(self, stamp: tuple[object, ...]) -> bool:
        """Whether this board may be shown where one of that stamp is wished."""
        young = self.stamp[2:] == stamp[2:] and time.monotonic() - self.at < FRESH_SECONDS
        return self.stamp == stamp or young

    @property
    def tag(self) -> str:
        """For ETag."""
        return "-".join(str(int(part)) for part in self.stamp)  # type: ignore[call-overload]


_boards: dict[int, Board] = {}
_lock = threading.Lock()


def newest(contest: Contest) -> Board:
    """The board, at most a second old."""
    stamp = (contest.pk, contest.version, contest.revealed, contest.chosen_n)
    kept = _boards.get(contest.pk)
    if kept is not None and kept.serves(stamp):
        return kept
    with _lock:
        kept = _boards.get(contest.pk)  # made by another thread meanwhile
        if kept is None or not kept.serves(stamp):
            standing = standing_runs(contest)
            kept = Board(time.monotonic(), stamp, standings(contest, standing), standing)
            _boards[contest.pk] = kept
        return kept
