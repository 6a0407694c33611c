"""What of a score may be seen. Nothing else in the site reads `private`, `total` or `per_class` of a Score.

Before the reveal nobody gets them over the site, organisers included: a page that is projected to a class, an export
that is mailed around, a cache cannot leak what they never held.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flyai_local.states import Code, State
from flyai_site.models import Contest, Run, Score

__all__ = ["Figures", "board_columns", "board_figures", "detail", "figures"]


@dataclass(frozen=True)
class Figures:
    """The figures of a run that its contest shows now; percent. `private`, `total`: None before the reveal."""

    metric: str
    public: float | None
    per_class: dict[str, float] = field(default_factory=dict)  # of the public part; of all after the reveal
    private: float | None = None
    total: float | None = None


def figures(contest: Contest, score: Score | None) -> Figures | None:
    """What may be seen of a score now."""
    if score is None:
        return None
    if not contest.revealed:
        return Figures(score.metric, score.public, score.public_per_class)
    return Figures(score.metric, score.public, score.per_class, score.private, score.total)


def board_columns(contest: Contest) -> tuple[str, ...]:
    """The columns of a run's score that the board may read now: before the reveal none of the private ones."""
    shown = ("metric", "public", *(("private", "total") if contest.revealed else ()))
    return tuple(f"score__{name}" for name in shown)


def board_figures(
    metric: str | None, public: float | None, private: float | None = None, total: float | None = None
) -> Figures | None:
    """The figures of a run from its `board_columns`; None for a run without a score."""
    return None if metric is None else Figures(metric, public, private=private, total=total)


def detail(contest: Contest, run: Run, organises: bool = False) -> str:
    """What is particular to a run's end.

    That of a scored run tells the score over all rows (see `label-type` in flyai_local/run/score.py), so it waits for
    the reveal. That of a platform's fault is in the platform's own words, which may hold what it worked on, a hidden
    label even: it is for who organises.
    """
    if run.state == State.SCORED.value and not contest.revealed:
        return ""
    if run.state == State.CRASHED.value and not organises:
        return ""
    return str(run.detail)


def cause(run: Run) -> Code | None:
    """The code of a run's end."""
    return Code(run.code) if run.code else None
