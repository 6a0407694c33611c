"""What all pages share: the frame around them, who asks, and what they may see."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation

from flyai_site.models import Contest, Member, Submission
from flyai_site.settings import PACKAGE

View = Callable[..., HttpResponse]
ASSETS = {"site.css": "text/css", "htmx.min.js": "text/javascript"}


def common(request: HttpRequest) -> dict[str, Any]:
    """For every template."""
    return {
        "asset_tag": asset_tag(),
        "language": translation.get_language(),
        "zh": is_zh(),
        "now": timezone.now(),
        "notice": notice(request),
    }


def notice(request: HttpRequest) -> str:
    """The sentence that the last deed left for the next page; it is shown once, so no browser shall keep that page."""
    if not request.session.get("notice"):
        return ""
    request.shown_once = True
    return str(request.session.pop("notice"))


def done(request: HttpRequest, to: str, sentence: str) -> HttpResponse:
    """After a deed: the next page, with a sentence on top."""
    request.session["notice"] = sentence
    return redirect(to)


def is_zh() -> bool:
    """Whether the page is in Chinese."""
    return (translation.get_language() or "").startswith("zh")


def page(request: HttpRequest, template: str, status: int = 200, **context: Any) -> HttpResponse:
    """A page of that template; one that shows a secret word is kept by no browser."""
    response = render(request, template, context, status=status)
    if context.get("word") or context.get("words") or getattr(request, "shown_once", False):
        response.headers["Cache-Control"] = "no-store"
    return response


def find_contest(slug: str) -> Contest:
    """The contest of that name.

    Raises:
        Http404: there is none.
    """
    found = Contest.objects.filter(slug=slug).first()
    if found is None:
        raise Http404
    return found


def organises(request: HttpRequest, contest: Contest) -> bool:
    """Whether who asks may change the contest."""
    return bool(request.user.is_superuser or request.user.pk == contest.owner_id)


def organiser_page(view: View) -> View:
    """A page of the contest `slug` for its organisers."""

    @login_required
    @wraps(view)
    def checked(request: HttpRequest, slug: str, **parts: Any) -> HttpResponse:
        contest = find_contest(slug)
        if not organises(request, contest):
            raise PermissionDenied
        return view(request, contest, **parts)

    return checked


def visible_submission(user: Any, number: int) -> Submission:
    """A submission that the person may see: the own team's, or one of a contest that the person organises.

    Raises:
        Http404: another one, or none; the two look alike.
    """
    found = Submission.objects.select_related("participant__contest", "user").filter(pk=number).first()
    if found is None or not user.is_authenticated:
        raise Http404
    own = Member.objects.filter(participant=found.participant_id, user=user).exists()
    if not (own or user.is_superuser or found.participant.contest.owner_id == user.pk):
        raise Http404
    return found


def sent(path: Path, content_type: str) -> FileResponse:
    """A file as it is, piece by piece; Django closes it.

    Raises:
        Http404: it is not there.
    """
    try:
        return FileResponse(path.open("rb"), content_type=content_type)
    except FileNotFoundError:
        raise Http404 from None


@cache
def asset(name: str) -> bytes:
    """A file of the pages' own."""
    return (PACKAGE / "assets" / name).read_bytes()


@cache
def asset_tag() -> str:
    """Changes with the assets, so that browsers may keep them for ever."""
    return hashlib.sha256(b"".join(asset(name) for name in ASSETS)).hexdigest()[:12]


def serve_asset(request: HttpRequest, tag: str, name: str) -> HttpResponse:
    """A file of the pages' own."""
    if name not in ASSETS:
        raise Http404
    response = HttpResponse(asset(name), content_type=f"{ASSETS[name]}; charset=utf-8")
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
