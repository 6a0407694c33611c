"""Uploading, and what became of it: place in the queue, live log, score, cause and remedy."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from flyai_local.errors import UserError
from flyai_local.states import State
from flyai_site import audit, queue, reveal, runlogs, tries
from flyai_site.arrival import arrived
from flyai_site.guard import REPORT_POLICY
from flyai_site.models import Contest, Participant, Run, Submission
from flyai_site.pages.frame import done, find_contest, organises, page, sent, visible_submission
from flyai_site.plain import whole
from flyai_site.rates import tick
from flyai_site.storage import TooLargeError

UPLOADS = 20  # per person and minute


@login_required
@require_http_methods(["GET", "POST"])
def submit(request: HttpRequest, slug: str) -> HttpResponse:
    """The form, and what it sends."""
    contest = find_contest(slug)
    who = tries.member(contest, request.user)
    if request.method == "GET":
        today, ever = tries.left(contest, who)
        return page(request, "submit.html", contest=contest, today=today, ever=ever)
    tick(f"upload:{request.user.pk}", UPLOADS)
    tries.refuse_closed(contest, arrived(request))
    file = request.FILES.get("file")
    if file is None or not file.size:
        raise UserError(_("Choose a file first."))
    if file.size > contest.max_mb * 2**20:
        raise TooLargeError(_("The file is larger than %(most)d MB.") % {"most": contest.max_mb})
    run = tries.take(contest, request.user, file.incoming, arrived(request), request.POST.get("label", ""))
    return done(request, f"/s/{run.submission_id}", _("The upload is in the queue."))


@login_required
@require_GET
def mine(request: HttpRequest, slug: str) -> HttpResponse:
    """All uploads of the own team, and which of them count at the end."""
    contest = find_contest(slug)
    who = tries.member(contest, request.user)
    today, ever = tries.left(contest, who)
    return page(
        request, "mine.html", contest=contest, who=who, rows=listed(contest, participant=who), today=today, ever=ever
    )


def listed(contest: Contest, most: int | None = None, **only: object) -> list[dict[str, Any]]:
    """Uploads of a contest with the newest run of each and what of its score may be seen; the newest first, `most` of
    them."""
    runs = Run.objects.filter(submission__participant__contest=contest)
    for name, value in only.items():
        runs = runs.filter(**{f"submission__{name}": value})
    newest = runs.values("submission").annotate(run=Max("id")).order_by("-submission").values_list("run", flat=True)
    found = Run.objects.filter(pk__in=list(newest[:most]))
    shown = found.select_related("submission__participant", "submission__user", "score").order_by("-submission")
    return [
        {"submission": run.submission, "run": run, "figures": reveal.figures(contest, getattr(run, "score", None))}
        for run in shown
    ]


@login_required
@require_POST
def choose(request: HttpRequest, slug: str) -> HttpResponse:
    """Which submissions shall count at the end."""
    contest = find_contest(slug)
    who = tries.member(contest, request.user)
    tries.refuse_closed(contest, timezone.now())  # not by the first byte: what is held back could follow the reveal
    wished = {found for text in request.POST.getlist("chosen") if (found := whole(text)) is not None}
    if len(wished) > contest.chosen_n:
        raise UserError(_("At most %(count)d submissions count.") % {"count": contest.chosen_n})
    with transaction.atomic():
        Participant.objects.select_for_update().get(pk=who.pk)
        own = Submission.objects.filter(participant=who)
        own.update(chosen=False)
        own.filter(pk__in=wished).update(chosen=True)
        audit.note(request.user, "chosen", f"{slug}/{who.name}", None, sorted(wished))
    return done(request, f"/c/{slug}/mine", _("Your choice is kept."))


@require_GET
def show(request: HttpRequest, number: int) -> HttpResponse:
    """One submission: its newest run, and those before."""
    submission = visible_submission(request.user, number)
    return page(request, "submission.html", **_told(request, submission))


@require_GET
def live(request: HttpRequest, number: int) -> HttpResponse:
    """The part of the page that changes while a run is at work."""
    return page(request, "submission_live.html", **_told(request, visible_submission(request.user, number)))


def _told(request: HttpRequest, submission: Submission) -> dict[str, Any]:
    contest = submission.participant.contest
    runs = list(Run.objects.filter(submission=submission).select_related("score", "worker").order_by("-id"))
    run, runs_it = runs[0], organises(request, contest)
    return {
        "contest": contest,
        "submission": submission,
        "run": run,
        "earlier": runs[1:],
        "place": queue.place(run) if run.state == State.QUEUED.value else None,
        "going": not State(run.state).ended,
        "figures": reveal.figures(contest, getattr(run, "score", None)),
        "detail": reveal.detail(contest, run, runs_it),
        "log": runlogs.last(run),
        "organises": runs_it,
    }


@require_GET
def log(request: HttpRequest, number: int) -> HttpResponse:
    """The whole log of the newest run, as text."""
    submission = visible_submission(request.user, number)
    run = Run.objects.filter(submission=submission).order_by("-id").first()
    return sent(runlogs.path(run), "text/plain; charset=utf-8")


@xframe_options_exempt
@require_GET
def report(request: HttpRequest, number: int) -> HttpResponse:
    """The report that a submission left, shut in: no script, no request, an origin of its own."""
    submission = visible_submission(request.user, number)
    run = Run.objects.filter(submission=submission, has_report=True).order_by("-id").first()
    if run is None:
        raise Http404
    response = sent(runlogs.report(run), "text/html; charset=utf-8")
    response["Content-Security-Policy"] = REPORT_POLICY
    return response
