"""What participants' programs ask."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from flyai_local.errors import UserError
from flyai_local.run.causes import explain
from flyai_local.states import State
from flyai_site import queue, reveal, runlogs, standings, tries
from flyai_site.api.asked import answer, body, by_person
from flyai_site.arrival import arrived, receive
from flyai_site.models import Contest, Member, Run, Submission
from flyai_site.pages.account import find_user, make_token
from flyai_site.pages.frame import find_contest, visible_submission
from flyai_site.pages.tries import UPLOADS
from flyai_site.plain import whole
from flyai_site.rates import tick


@csrf_exempt
@require_POST
def log_in(request: HttpRequest) -> HttpResponse:
    """A token for a name and a password."""
    given = body(request)
    user = find_user(request, str(given.get("name", "")), str(given.get("password", "")))
    return answer({"token": make_token(user, str(given.get("label", "")))}, 201)


@require_GET
def contests(request: HttpRequest) -> HttpResponse:
    """Every contest, its times and limits."""
    return answer([_contest(one) for one in Contest.objects.order_by("opens")])


def _contest(one: Contest) -> dict[str, Any]:
    return {
        "slug": one.slug,
        "title": one.title,
        "kind": one.kind,
        "metric": one.metric,
        "opens": one.opens,
        "closes": one.closes,
        "reveals": one.reveals,
        "per_day": one.per_day,
        "in_total": one.in_total,
        "max_mb": one.max_mb,
        "minutes": one.minutes,
    }


@by_person
@require_POST
def submit(request: HttpRequest, slug: str) -> HttpResponse:
    """Take the raw body as a submission. Time, membership and tries are judged before it is read, and again after."""
    contest = find_contest(slug)
    tick(f"upload:{request.user.pk}", UPLOADS)
    began = arrived(request)
    tries.refuse_closed(contest, began)
    tries.refuse_used_up(contest, tries.member(contest, request.user), began)
    label = unquote(request.headers.get("X-Label", "")[:2000])
    run = tries.take(contest, request.user, receive(request, contest.max_mb), began, label)
    return answer(_told(contest, run.submission, run), 201)


@by_person
@require_GET
def show(request: HttpRequest, number: int) -> HttpResponse:
    """Where a submission stands."""
    submission = visible_submission(request.user, number)
    return answer(_told(submission.participant.contest, submission, _newest(submission)))


@by_person
@require_GET
def log(request: HttpRequest, number: int) -> HttpResponse:
    """The log of the newest run from byte `from` on; `attempt` says whether it is still the same log."""
    run = _newest(visible_submission(request.user, number))
    start = whole(request.GET.get("from", "0")) or 0
    data = runlogs.piece(run, start)
    return answer(
        {
            "run": run.pk,
            "attempt": run.attempt,
            "text": data.decode("utf-8", errors="replace"),
            "next": start + len(data),
            "ended": State(run.state).ended,
        }
    )


@require_GET
def board(request: HttpRequest, slug: str) -> HttpResponse:
    """The board: everybody's, as the page shows it."""
    contest = find_contest(slug)
    now = standings.newest(contest)
    tag = f'"{now.tag}"'
    if request.headers.get("If-None-Match") == tag:
        return HttpResponseNotModified(headers={"ETag": tag})
    text = now.text("json", lambda: answer(_board(contest, now)).content)
    return HttpResponse(text, content_type="application/json", headers={"ETag": tag})


def _board(contest: Contest, now: standings.Board) -> dict[str, Any]:
    rows = [
        {
            "rank": row.rank,
            "name": row.name,
            "public": row.public,
            **({"private": row.private} if contest.revealed else {}),
            "tries": row.tries,
            "at": row.arrived,
        }
        for row in now.rows
    ]
    return {"contest": contest.slug, "metric": contest.metric, "revealed": contest.revealed, "rows": rows}


@by_person
@require_GET
def mine(request: HttpRequest) -> HttpResponse:
    """The contests that the person is in, and the uploads there."""
    places = Member.objects.filter(user=request.user).select_related("contest", "participant")
    return answer(
        [
            {
                "contest": place.contest.slug,
                "name": place.participant.name,
                "submissions": [
                    _told(place.contest, submission, _newest(submission))
                    for submission in Submission.objects.filter(participant=place.participant).order_by("-id")[:50]
                ],
            }
            for place in places
        ]
    )


def _newest(submission: Submission) -> Run:
    found: Run | None = Run.objects.filter(submission=submission).order_by("-id").first()
    if found is None:
        raise UserError(_("This submission has no run yet."))
    return found


def _told(contest: Contest, submission: Submission, run: Run) -> dict[str, Any]:
    shown = reveal.figures(contest, getattr(run, "score", None))
    code = reveal.cause(run)
    place = queue.place(run) if run.state == State.QUEUED.value else None
    return {
        "id": submission.pk,
        "contest": contest.slug,
        "run": run.pk,
        "attempt": run.attempt,
        "state": run.state,
        "ended": State(run.state).ended,
        "ahead": place.ahead if place else None,
        "starts_in_seconds": place.seconds if place else None,
        "code": run.code or None,
        "causes": {language: explain(code, language) for language in ("en", "zh")} if code else None,
        "detail": reveal.detail(contest, run),
        "seconds": run.seconds,
        "peak_mb": run.peak_mb,
        "metric": shown.metric if shown else None,
        "public": shown.public if shown else None,
        "per_class": shown.per_class if shown else {},
        **({"private": shown.private, "total": shown.total} if shown and contest.revealed else {}),
    }
