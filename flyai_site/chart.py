"""Scores over time as an inline picture (SVG): best public score so far of the ten first, and one's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flyai_site.standings import Board, Standing

__all__ = ["Chart", "Line", "chart"]

WIDTH, HEIGHT, LINES = 640, 240, 10


@dataclass(frozen=True)
class Line:
    """The line of one participant; `number` chooses its colour, `points` is what a polyline takes."""

    name: str
    number: int
    points: str
    own: bool


@dataclass(frozen=True)
class Chart:
    """All lines, and what stands at the axes."""

    lines: list[Line]
    low: float
    high: float
    first: datetime
    last: datetime


def chart(board: Board, own: int | None) -> Chart | None:
    """The chart of a board; None where no score has come yet."""
    names = {row.participant: row.name for at, row in enumerate(board.rows) if at < LINES or row.participant == own}
    paths = {who: _best_so_far(all_of) for who, all_of in board.standing.items() if who in names}
    every = [point for path in paths.values() for point in path]
    if not every:
        return None
    low, high = min(score for _, score in every), max(score for _, score in every)
    low = low if low < high else high - 1.0  # scores that are all alike lie at the top of an axis that has a length
    first, last = min(at for at, _ in every), max(at for at, _ in every)
    seconds = (last - first).total_seconds() or 1.0

    def placed(at: datetime, score: float) -> tuple[float, float]:
        return WIDTH * (at - first).total_seconds() / seconds, HEIGHT - HEIGHT * (score - low) / (high - low)

    lines = []
    for number, who in enumerate(who for who in names if paths.get(who)):
        steps = _steps([placed(at, score) for at, score in paths[who]])
        lines.append(Line(names[who], number % LINES, " ".join(f"{x:.1f},{y:.1f}" for x, y in steps), who == own))
    return Chart(lines, low, high, first, last)


def _best_so_far(all_of: list[Standing]) -> list[tuple[datetime, float]]:
    path: list[tuple[datetime, float]] = []
    for one in all_of:
        score = one.figures.public
        if score is not None and (not path or score > path[-1][1]):
            path.append((one.arrived, score))
    return path


def _steps(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A staircase: a score holds until the next, and to the right edge."""
    steps = [points[0]]
    for x, y in points[1:]:
        steps += [(x, steps[-1][1]), (x, y)]
    return [*steps, (float(WIDTH), steps[-1][1])]
