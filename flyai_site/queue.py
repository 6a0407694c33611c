"""The queue of runs: a table, claimed by SKIP LOCKED (PostgreSQL) or BEGIN IMMEDIATE (SQLite), with a lease.

A worker holds a run as long as it speaks within its lease. A run whose lease is over goes to the next worker with the
next attempt number, and whatever the former one still sends is refused: the number is a fencing token (M. Kleppmann,
"How to do distributed locking", 2016). The third loss ends the run as the platform's fault, free of charge.

The clock is the database's. Where that jumps back, a lease that lies further ahead than any could counts as over; where
it jumps forward, a worker that still speaks keeps its run unless another has taken it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Avg, F, Q
from django.utils import timezone

from flyai_local.states import Code, State, is_platform_fault
from flyai_site.models import ACTIVE, ANSWERS, Contest, Run, Score, Submission, Worker

__all__ = [
    "LateError",
    "Place",
    "again",
    "beat",
    "cancel",
    "claim",
    "enqueue",
    "finish",
    "place",
    "place_log",
    "set_state",
]

ATTEMPTS = 3
ACTIVE_STATES = [state.value for state in ACTIVE]
AGAIN_PRIORITY = -1  # a second run waits for every fresh one
GUESS_SECONDS = 120.0  # of a run, where none has ended yet


class LateError(Exception):
    """The worker no longer holds the run: it was cancelled, has ended, or went to another."""


@dataclass(frozen=True)
class Place:
    """Where a run stands: `ahead` are before it, and `seconds` is when it should start, None without a worker."""

    ahead: int
    seconds: float | None


def now() -> datetime:
    """The database's clock."""
    if connection.vendor != "postgresql":
        return timezone.now()  # SQLite has the site's own
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
        return found


def enqueue(submission: Submission, priority: int = 0) -> Run:
    """A new run of the submission, at the end of its priority."""
    return Run.objects.create(submission=submission, priority=priority, queued=now())


def claim(worker: Worker, runs_code: bool = True) -> Run | None:
    """The next run for a worker, None when there is none. A worker without isolation gets answers only."""
    with transaction.atomic():
        moment = now()
        longest = timedelta(seconds=2 * settings.SITE.lease_seconds)
        over = Q(lease_until__lt=moment) | Q(lease_until__gt=moment + longest)
        free = Q(state=State.QUEUED.value) | (Q(state__in=ACTIVE_STATES) & over)
        waiting = Run.objects.select_for_update(skip_locked=True).filter(free)
        if not runs_code:
            waiting = waiting.filter(
                submission__in=Submission.objects.filter(participant__contest__kind=ANSWERS).values("id")
            )
        for run in waiting.order_by("-priority", "id")[: ATTEMPTS + 1]:
            if run.attempt >= ATTEMPTS:
                _end(run, State.CRASHED, Code.WORKER_LOST, f"{run.attempt} workers were lost")
                continue
            run.attempt += 1
            run.state, run.worker, run.started = State.PACKING.value, worker, run.started or moment
            run.lease_until, run.log_bytes, run.has_report = _lease(moment), 0, False
            run.save()
            return run
    return None


def beat(run_id: int, attempt: int, worker: Worker) -> None:
    """Renew the lease.

    Raises:
        LateError: the worker no longer holds the run.
    """
    if not _held(run_id, attempt, worker).update(lease_until=_lease(now())):
        raise LateError


def set_state(run_id: int, attempt: int, worker: Worker, state: State) -> None:
    """Note the state of a run that is at work.

    Raises:
        LateError: the worker no longer holds the run.
    """
    if not _held(run_id, attempt, worker).update(state=state.value, lease_until=_lease(now())):
        raise LateError


def place_log(run_id: int, attempt: int, worker: Worker, before: int, after: int) -> None:
    """Note that the log of a run has grown from `before` to `after` bytes, and renew the lease.

    Raises:
        LateError: the worker no longer holds the run, or another piece was put there.
    """
    grown = _held(run_id, attempt, worker).filter(log_bytes=before)
    if not grown.update(log_bytes=after, lease_until=_lease(now())):
        raise LateError


@transaction.atomic
def finish(
    run_id: int,
    attempt: int,
    worker: Worker,
    state: State,
    code: Code | None,
    detail: str,
    seconds: float,
    peak_mb: float,
    score: dict[str, Any] | None,
) -> None:
    """End a run with its score, in one transaction.

    Raises:
        LateError: the worker no longer holds the run.
    """
    run = _held(run_id, attempt, worker).select_for_update().first()
    if run is None:
        raise LateError
    run.seconds, run.peak_mb = seconds, peak_mb
    _end(run, state, code, detail)
    if score is not None:
        Score.objects.create(run=run, **score)


@transaction.atomic
def cancel(run_id: int) -> bool:
    """Take a run out; its worker learns it with its next word. False when it has ended already.

    Cancelled while it waited, it is no try; later it is, since its log was seen.
    """
    run = Run.objects.select_for_update().get(pk=run_id)
    if State(run.state).ended:
        return False
    _end(run, State.CANCELLED, None, "")
    return True


@transaction.atomic
def again(submission: Submission) -> Run:
    """Run a submission once more: a new run, behind every fresh one; the old score stands until it ends."""
    return enqueue(submission, AGAIN_PRIORITY)


def place(run: Run) -> Place:
    """Where a waiting run stands."""
    before = Q(priority__gt=run.priority) | Q(priority=run.priority, id__lt=run.id)
    ahead = Run.objects.filter(before, state=State.QUEUED.value).count()
    recent = timezone.now() - timedelta(seconds=max(60.0, 2 * settings.SITE.lease_seconds))
    workers = Worker.objects.filter(active=True, last_seen__gte=recent).count()
    if not workers:
        return Place(ahead, None)
    at_work = Run.objects.filter(state__in=ACTIVE_STATES).count()
    ended = Run.objects.filter(seconds__isnull=False).order_by("-id").values("pk")[:20]
    usual = Run.objects.filter(pk__in=list(ended.values_list("pk", flat=True))).aggregate(s=Avg("seconds"))["s"]
    busy = max(0, ahead + at_work + 1 - workers)
    return Place(ahead, busy * (usual or GUESS_SECONDS) / workers)


def _held(run_id: int, attempt: int, worker: Worker) -> Any:
    return Run.objects.filter(pk=run_id, attempt=attempt, worker=worker, state__in=ACTIVE_STATES)


def _lease(moment: datetime) -> datetime:
    return moment + timedelta(seconds=settings.SITE.lease_seconds)


def _end(run: Run, state: State, code: Code | None, detail: str) -> None:
    """End a run and say whether its submission is a try."""
    waited = run.state == State.QUEUED.value and run.attempt == 0
    run.state, run.code, run.detail = state.value, code.value if code else "", detail[:2000]
    run.ended, run.lease_until = now(), None
    run.save()
    submission = Submission.objects.select_for_update().get(pk=run.submission_id)
    others = Run.objects.filter(submission=submission).exclude(pk=run.pk)
    submission.counts = _is_try(state, code, waited) or _any_try(others)
    submission.save(update_fields=["counts"])
    Contest.objects.filter(pk=submission.participant.contest_id).update(version=F("version") + 1)


def _is_try(state: State, code: Code | None, waited: bool) -> bool:
    if state is State.CANCELLED:
        return not waited
    return state is not State.CRASHED and not (code and is_platform_fault(code))


def _any_try(runs: Sequence[Run] | Any) -> bool:
    """Whether another run of the submission is, or may still become, a try."""
    return any(
        not State(run.state).ended or _is_try(State(run.state), Code(run.code) if run.code else None, run.attempt == 0)
        for run in runs
    )
