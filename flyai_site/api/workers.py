"""What workers ask: a run, its files, and to take down what it does. Every word names run and attempt."""

from __future__ import annotations

import math
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from flyai_local.errors import UserError
from flyai_local.states import Code, State
from flyai_site import queue, runlogs
from flyai_site.api.asked import answer, body, by_worker
from flyai_site.models import Contest, Run, Worker
from flyai_site.pages.frame import sent
from flyai_site.plain import whole
from flyai_site.storage import CHUNK, blob

LARGEST_REPORT = 5 * 2**20


@by_worker
@require_POST
def claim(request: HttpRequest, worker: Worker) -> HttpResponse:
    """The next run with all that is needed to do it; 204 where there is none."""
    given = body(request)
    note = str(given.get("note", ""))[:300]
    if note != worker.note:
        Worker.objects.filter(pk=worker.pk).update(note=note)
    run = queue.claim(worker, runs_code=given.get("isolated") is True)
    if run is None:
        return HttpResponse(status=204)
    contest = run.submission.participant.contest
    return answer(
        {
            "run": run.pk,
            "attempt": run.attempt,
            "kind": contest.kind,
            "contest": contest.slug,
            "archive": run.submission.sha256,
            "data": contest.data_sha256,
            "minutes": contest.minutes,
            "memory_mb": contest.memory_mb,
            "epochs": contest.epochs,
            "batch": contest.given_batch,
            "lease_seconds": settings.SITE.lease_seconds,
        }
    )


@by_worker
@require_POST
def beat(request: HttpRequest, worker: Worker, run: int, attempt: int) -> HttpResponse:
    """Renew the lease."""
    return _told(lambda: queue.beat(run, attempt, worker))


@by_worker
@require_POST
def state(request: HttpRequest, worker: Worker, run: int, attempt: int) -> HttpResponse:
    """A new state."""
    wished = _state(body(request).get("state"))
    if wished.ended or wished is State.QUEUED:
        raise UserError(f"a run at work cannot become {wished.value!r}: use finish")
    return _told(lambda: queue.set_state(run, attempt, worker, wished))


@by_worker
@require_POST
def log(request: HttpRequest, worker: Worker, run: int, attempt: int) -> HttpResponse:
    """A piece of the log that begins at byte `from`."""
    found = Run.objects.filter(pk=run, attempt=attempt).first()
    start = whole(request.GET.get("from", ""))
    data = request.read(4 * CHUNK)
    if found is None or start is None:
        raise Http404
    return _told(lambda: {"next": runlogs.add(found, worker, start, data)})


@by_worker
@require_http_methods(["PUT"])
def report(request: HttpRequest, worker: Worker, run: int, attempt: int) -> HttpResponse:
    """The report that the submission left."""
    held = Run.objects.filter(pk=run, attempt=attempt, worker=worker, state__in=queue.ACTIVE_STATES).first()
    if held is None:
        return answer({"error": "late"}, 409)
    data = request.read(LARGEST_REPORT + 1)
    if len(data) > LARGEST_REPORT:
        raise UserError("the report is larger than 5 MB")
    runlogs.report(held).write_bytes(data)
    Run.objects.filter(pk=run, attempt=attempt, worker=worker).update(has_report=True)
    return answer({})


@by_worker
@require_POST
def finish(request: HttpRequest, worker: Worker, run: int, attempt: int) -> HttpResponse:
    """The end of a run with its score."""
    given = body(request)
    ended = _state(given.get("state"))
    if ended not in (State.SCORED, State.FAILED, State.CRASHED) or (ended is State.SCORED) != bool(given.get("score")):
        raise UserError(f"a run cannot end as {ended.value!r} with the score {bool(given.get('score'))}")
    code = _code(given.get("code"))
    score = _score(given["score"]) if given.get("score") else None
    numbers = (_number(given.get("seconds", 0)), _number(given.get("peak_mb", 0)))
    return _told(lambda: queue.finish(run, attempt, worker, ended, code, str(given.get("detail", "")), *numbers, score))


@by_worker
@require_GET
def file(request: HttpRequest, worker: Worker, sha256: str) -> HttpResponse:
    """A file that the worker needs for the run that it holds, and no other."""
    held = Run.objects.filter(worker=worker, state__in=queue.ACTIVE_STATES)
    own = held.filter(submission__sha256=sha256).exists()
    if not own and not Contest.objects.filter(data_sha256=sha256, participant__submission__run__in=held).exists():
        raise Http404
    return sent(blob(sha256), "application/octet-stream")


def _told(deed: Any) -> HttpResponse:
    try:
        return answer(deed() or {})
    except queue.LateError:
        return answer({"error": "late"}, 409)


def _state(value: Any) -> State:
    try:
        return State(value)
    except ValueError:
        raise UserError(f"the state {value!r:.60} is not known") from None


def _code(value: Any) -> Code | None:
    if value and value not in [code.value for code in Code]:
        raise UserError(f"the code {value!r:.60} is not known: is the worker newer than the site?")
    return Code(value) if value else None


def _number(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise UserError(f"{value!r:.60} is not a number")


def _score(given: Any) -> dict[str, Any]:
    def optional(value: Any) -> float | None:
        return None if value is None else _number(value)

    def table(value: Any) -> dict[str, float]:
        if value is not None and not isinstance(value, dict):
            raise UserError("per_class must be an object")
        return {str(name)[:200]: _number(percent) for name, percent in (value or {}).items()}

    if not isinstance(given, dict):
        raise UserError("the score must be an object")
    return {
        "metric": str(given.get("metric", ""))[:32],
        "total": _number(given.get("total")),
        "public": optional(given.get("public")),
        "private": optional(given.get("private")),
        "per_class": table(given.get("per_class")),
        "public_per_class": table(given.get("public_per_class")),
    }
