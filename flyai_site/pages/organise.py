"""What organisers do: make contests, change limits and times, invite, cancel, run again, disqualify, reveal, export."""

from __future__ import annotations

import csv
import io
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from flyai_local.contest.metrics import METRICS
from flyai_local.errors import UserError
from flyai_site import audit, contests, queue, reveal
from flyai_site.models import Audit, Contest, Invitation, Member, Participant, Run, Worker
from flyai_site.pages.contest import twins
from flyai_site.pages.frame import done, organiser_page, page
from flyai_site.pages.tries import listed
from flyai_site.plain import cell
from flyai_site.words import hashed, new_word

MOST_INVITED = 1000
MOST_LISTED = 500  # uploads on the page; the export has them all


@login_required
@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """A contest from a CSV and a zip of pictures."""
    if not request.user.is_staff:
        raise PermissionDenied
    if request.method == "GET":
        return page(request, "organise_new.html", metrics=list(METRICS))
    given = request.POST
    if "csv" not in request.FILES or "pictures" not in request.FILES:
        raise UserError(_("Choose a CSV file and a zip of pictures."))
    slug, hidden = given.get("slug", "").strip(), given.get("hidden", "")
    wished = {name: given[name] for name in ("title", "opens", "closes", "reveals") if given.get(name)}
    columns = (given.get("image_column", "image_path"), given.get("label_column", "label"))
    table, archive = (request.FILES[name].incoming.path() for name in ("csv", "pictures"))
    fraction = float(hidden) if hidden.replace(".", "", 1).isdecimal() and hidden.isascii() else 0.0
    with contests.from_upload(table, archive, fraction, columns, given.get("metric", "accuracy")) as card:
        made = contests.create(slug, card, given.get("kind", "code"), request.user, **wished)
    return done(request, f"/organise/{made.slug}", _("The contest is made: look at its limits and times."))


@organiser_page
@require_GET
def overview(request: HttpRequest, contest: Contest) -> HttpResponse:
    """Everything about a contest on one page."""
    people = Participant.objects.filter(contest=contest).order_by("name")
    members: dict[int, list[str]] = {}
    for place in Member.objects.filter(contest=contest).select_related("user"):
        members.setdefault(place.participant_id, []).append(place.user.username)
    return page(
        request,
        "organise.html",
        contest=contest,
        rows=listed(contest, most=MOST_LISTED),
        people=people,
        members=members,
        twins=twins(contest),
        invitations=Invitation.objects.filter(contest=contest).select_related("used_by").order_by("label"),
        workers=Worker.objects.order_by("name"),
        numbers=[(name, getattr(contest, name)) for name in contests.NUMBERS],
    )


@organiser_page
@require_POST
def change(request: HttpRequest, contest: Contest) -> HttpResponse:
    """New times and limits."""
    wished = {name: request.POST[name] for name in contests.FIELDS if name in request.POST}
    contests.change(contest, request.user, {"by_invitation": "", **wished})
    return done(request, f"/organise/{contest.slug}", _("The contest is changed."))


@organiser_page
@require_POST
def reveal_now(request: HttpRequest, contest: Contest) -> HttpResponse:
    """Show the private scores from now on; only once the contest is closed."""
    now = timezone.now()
    if now < contest.closes:
        raise UserError(_("The contest must be closed before it is revealed."))
    contests.change(contest, request.user, {"reveals": now})
    return done(request, f"/c/{contest.slug}/board", _("The private scores are shown from now on."))


@organiser_page
@require_POST
def invite(request: HttpRequest, contest: Contest) -> HttpResponse:
    """A word for every line of the list; they are shown on this answer and never again."""
    labels = [line.strip()[:200] for line in request.POST.get("labels", "").splitlines() if line.strip()]
    if not 0 < len(labels) <= MOST_INVITED:
        raise UserError(_("Give 1 to %(most)d names, one a line.") % {"most": MOST_INVITED})
    words = [(label, new_word("fi")) for label in labels]
    with transaction.atomic():
        Invitation.objects.bulk_create(
            Invitation(contest=contest, label=label, word_hash=hashed(word)) for label, word in words
        )
        audit.note(request.user, "invited", contest.slug, None, labels)
    return page(request, "invited.html", contest=contest, words=words)


@organiser_page
@require_POST
def participant(request: HttpRequest, contest: Contest, number: int) -> HttpResponse:
    """Disqualify with a reason, or take that back."""
    active, reason = request.POST.get("deed") == "readmit", request.POST.get("reason", "").strip()
    if not active and not reason:
        raise UserError(_("Say why: the participant reads the reason."))
    with transaction.atomic():
        who = Participant.objects.select_for_update().filter(contest=contest, pk=number).first()
        if who is None:
            raise Http404
        before = {"active": who.active, "reason": who.reason}
        who.active, who.reason = active, "" if active else reason[:500]
        who.save()
        Contest.objects.filter(pk=contest.pk).update(version=F("version") + 1)
        verb = "readmitted" if active else "disqualified"
        audit.note(request.user, verb, f"{contest.slug}/{who.name}", before, {"active": active, "reason": who.reason})
    return done(request, f"/organise/{contest.slug}", _("It is noted."))


@organiser_page
@require_POST
def run_deed(request: HttpRequest, contest: Contest, number: int, deed: str) -> HttpResponse:
    """Cancel a run, let it go first, or run its submission again."""
    run = Run.objects.filter(pk=number, submission__participant__contest=contest).first()
    if run is None or deed not in ("cancel", "again", "first"):
        raise Http404
    if deed == "cancel" and not queue.cancel(run.pk):
        raise UserError(_("The run has ended already."))
    if deed == "again":
        run = queue.again(run.submission)
    if deed == "first":
        Run.objects.filter(pk=run.pk, state="queued").update(priority=F("priority") + 1)
    audit.note(request.user, f"run-{deed}", f"{contest.slug}/run {run.pk}")
    return done(request, f"/s/{run.submission_id}", _("It is noted."))


@organiser_page
@require_GET
def audit_page(request: HttpRequest, contest: Contest) -> HttpResponse:
    """Who did what in this contest."""
    rows = Audit.objects.filter(object__startswith=contest.slug).order_by("-id")[:500]
    return page(request, "audit.html", contest=contest, rows=[r for r in rows if _about(r.object, contest.slug)])


def _about(what: str, slug: str) -> bool:
    return what == slug or what.startswith(f"{slug}/")


@organiser_page
@require_GET
def export(request: HttpRequest, contest: Contest) -> HttpResponse:
    """Every upload as CSV; private figures once they are revealed."""
    text = io.StringIO()
    table = csv.writer(text)
    columns = ["submission", "participant", "active", "user", "arrived", "sha256", "bytes", "chosen", "counts",
               "run", "state", "code", "seconds", "peak_mb", "metric", "public", "private", "total"]  # fmt: skip
    table.writerow(columns)
    for row in reversed(listed(contest)):
        table.writerow([cell(value) for value in _exported(row)])
    audit.note(request.user, "exported", contest.slug)
    response = HttpResponse("\ufeff" + text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{contest.slug}.csv"'
    return response


def _exported(row: dict[str, Any]) -> list[object]:
    own, run, shown = row["submission"], row["run"], row["figures"]
    figures = shown if isinstance(shown, reveal.Figures) else reveal.Figures("", None)
    return [own.pk, own.participant.name, own.participant.active, own.user.username, own.arrived.isoformat(),
            own.sha256, own.size_bytes, own.chosen, own.counts, run.pk, run.state, run.code, run.seconds, run.peak_mb,
            figures.metric, figures.public, figures.private, figures.total]  # fmt: skip


@login_required
@require_http_methods(["GET", "POST"])
def workers(request: HttpRequest) -> HttpResponse:
    """The machines that run submissions; a new one's token is shown once."""
    if not request.user.is_superuser:
        raise PermissionDenied
    word = ""
    if request.method == "POST" and request.POST.get("deed") == "retire":
        name = request.POST.get("name", "")
        Worker.objects.filter(name=name).update(active=False)
        audit.note(request.user, "worker-retired", name)
    elif request.method == "POST":
        word = make_worker(request.user, request.POST.get("name", "").strip())
    return page(request, "workers.html", workers=Worker.objects.order_by("-active", "name"), word=word)


def make_worker(who: object, name: str) -> str:
    """A new worker, or a new token for a known one; returns the token.

    Raises:
        UserError: the name is not accepted.
    """
    if not 0 < len(name) <= 64:
        raise UserError(_("Give the worker a name of 1 to 64 letters."))
    word = new_word("fw")
    Worker.objects.update_or_create(name=name, defaults={"token_hash": hashed(word), "active": True})
    audit.note(who, "worker-made", name)
    return word
