"""A contest as everybody sees it: its page, its board, its data; and how to join it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from flyai_local.errors import UserError
from flyai_site import audit, standings
from flyai_site.chart import chart
from flyai_site.models import Contest, Invitation, Member, Participant, Submission
from flyai_site.pages.frame import done, find_contest, organises, page, sent
from flyai_site.plain import one_line
from flyai_site.rates import tick
from flyai_site.storage import blob
from flyai_site.words import hashed, new_word

NAME_LENGTH = 64


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Every contest of the site."""
    return page(request, "home.html", contests=Contest.objects.order_by("-opens"))


@require_GET
def show(request: HttpRequest, slug: str) -> HttpResponse:
    """Rules, times, limits, data."""
    contest = find_contest(slug)
    return page(request, "contest.html", contest=contest, own=own(request, contest), runs=organises(request, contest))


@require_GET
def board(request: HttpRequest, slug: str) -> HttpResponse:
    """The board with its chart."""
    contest = find_contest(slug)
    now = standings.newest(contest)
    mine = own(request, contest)
    lines = chart(now, mine.participant_id if mine else None)
    table = mark_safe(_table(request, contest, now).decode())
    return page(
        request, "board.html", contest=contest, table=table, own=mine, chart=lines, runs=organises(request, contest)
    )


@require_GET
def row_style(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Marks one row of the board: the table is the same for everybody, and the policy allows no style in a page."""
    return HttpResponse(f"#p{number} {{ background: var(--note); }}\n", content_type="text/css; charset=utf-8")


@require_GET
def board_rows(request: HttpRequest, slug: str) -> HttpResponse:
    """The rows alone, the same for everybody, asked for again and again."""
    contest = find_contest(slug)
    now = standings.newest(contest)
    tag = f'"{now.tag}-{request.LANGUAGE_CODE}"'
    if request.headers.get("If-None-Match") == tag:
        return HttpResponseNotModified(headers={"ETag": tag})
    return HttpResponse(_table(request, contest, now), headers={"ETag": tag})


def _table(request: HttpRequest, contest: Contest, now: standings.Board) -> bytes:
    """The rows in the reader's language."""
    shown = {"contest": contest, "rows": now.rows}
    return now.text(request.LANGUAGE_CODE, lambda: render_to_string("board_rows.html", shown).encode())


@require_GET
def data(request: HttpRequest, slug: str) -> HttpResponse:
    """What participants may download, once the contest has opened."""
    contest = find_contest(slug)
    if timezone.now() < contest.opens and not organises(request, contest):
        raise UserError(_("The data can be fetched when the contest opens."))
    response = sent(blob(contest.public_sha256), "application/zip")
    response["Content-Disposition"] = f'attachment; filename="{contest.slug}.zip"'
    return response


@login_required
@require_POST
def join(request: HttpRequest, slug: str) -> HttpResponse:
    """Become a participant, alone or in the team whose word is given."""
    contest = find_contest(slug)
    tick(f"join:{request.user.pk}", 10)
    name = one_line(request.POST.get("name", "")) or request.user.username
    try:
        with transaction.atomic():
            _join(request, contest, name[:NAME_LENGTH], request.POST.get("word", "").strip())
    except IntegrityError:
        raise UserError(_("This name is taken in the contest, or you have joined already.")) from None
    return done(request, f"/c/{slug}", _("You are in the contest."))


def _join(request: HttpRequest, contest: Contest, name: str, word: str) -> None:
    team = Participant.objects.select_for_update().filter(contest=contest, team_hash=hashed(word)).first()
    if word and team is not None:
        if Member.objects.filter(participant=team).count() >= contest.team_size:
            raise UserError(_("This team is full."))
        Member.objects.create(contest=contest, participant=team, user=request.user)
        audit.note(request.user, "team-joined", f"{contest.slug}/{team.name}")
        return
    if contest.by_invitation:
        invited = Invitation.objects.select_for_update()
        invitation = invited.filter(contest=contest, word_hash=hashed(word), used_by=None).first()
        if invitation is None:
            raise UserError(_("This contest is by invitation: give the word that the organiser sent you."))
        invitation.used_by = request.user
        invitation.save()
    if Participant.objects.filter(contest=contest, name__iexact=name).exists():  # "ADA" beside "Ada" is a mask
        raise IntegrityError
    made = Participant.objects.create(contest=contest, name=name)
    Member.objects.create(contest=contest, participant=made, user=request.user)
    audit.note(request.user, "joined", f"{contest.slug}/{name}")


@login_required
@require_POST
def team_word(request: HttpRequest, slug: str) -> HttpResponse:
    """A new word by which others join the own team; the former one ends."""
    contest = find_contest(slug)
    mine = own(request, contest)
    if mine is None or contest.team_size < 2:
        raise UserError(_("This contest has no teams, or you have not joined it."))
    word = new_word("ft")
    Participant.objects.filter(pk=mine.participant_id).update(team_hash=hashed(word))
    audit.note(request.user, "team-word", f"{slug}/{mine.participant.name}")
    return done(request, f"/c/{slug}", _("Give this word to those who shall join your team: %(word)s") % {"word": word})


def own(request: HttpRequest, contest: Contest) -> Member | None:
    """The place of who asks in the contest."""
    if not request.user.is_authenticated:
        return None
    places = Member.objects.filter(contest=contest, user=request.user).select_related("participant")
    found: Member | None = places.first()
    return found


def twins(contest: Contest) -> list[dict[str, object]]:
    """Archives that more than one participant uploaded, for the organiser."""
    people: dict[str, set[str]] = {}
    for sha256, name in Submission.objects.filter(participant__contest=contest).values_list(
        "sha256", "participant__name"
    ):
        people.setdefault(sha256, set()).add(name)
    return [{"sha256": sha256, "names": sorted(names)} for sha256, names in people.items() if len(names) > 1]
