"""Who asks: the owner of a personal token, or a worker. The two kinds open different doors and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from flyai_local.errors import UserError
from flyai_site.models import Token, Worker
from flyai_site.plain import plain
from flyai_site.rates import tick
from flyai_site.words import hashed

__all__ = ["answer", "body", "by_person", "by_worker", "word_of"]

View = Callable[..., HttpResponse]
LARGEST_JSON = 2**20
PER_MINUTE = 600
SEEN = timedelta(seconds=5)  # how exactly it is known when a worker was last heard of


def answer(value: Any, status: int = 200) -> JsonResponse:
    """JSON, readable."""
    return JsonResponse(value, status=status, safe=False, json_dumps_params={"ensure_ascii": False})


def word_of(request: HttpRequest) -> str:
    """The token that the request carries, or ""."""
    kind, _, word = request.headers.get("Authorization", "").partition(" ")
    return word.strip() if kind == "Bearer" else ""


def body(request: HttpRequest) -> dict[str, Any]:
    """The JSON object in the body.

    Raises:
        UserError: there is none.
    """
    text = request.read(LARGEST_JSON + 1)
    try:
        value = plain(json.loads(text)) if text else {}
    except (ValueError, RecursionError):
        value = None
    if len(text) > LARGEST_JSON or not isinstance(value, dict):
        raise UserError("the body must be a JSON object of at most 1 MB")
    return value


def by_person(view: View) -> View:
    """A door that a personal token opens; a session's cookie does not, so no other site can use it."""

    @csrf_exempt
    @wraps(view)
    def checked(request: HttpRequest, **parts: Any) -> HttpResponse:
        known = Token.objects.select_related("user").filter(token_hash=hashed(word_of(request))).first()
        if known is None or known.expires <= timezone.now() or not known.user.is_active:
            return answer({"error": _("No valid token: python -m flyai_local login URL")}, 401)
        if request.method != "GET":
            tick(f"api:{known.user.pk}", PER_MINUTE)
        request.user = known.user
        return view(request, **parts)

    return checked


def by_worker(view: View) -> View:
    """A door that a worker's token opens, and that opens nothing else."""

    @csrf_exempt
    @wraps(view)
    def checked(request: HttpRequest, **parts: Any) -> HttpResponse:
        worker = Worker.objects.filter(token_hash=hashed(word_of(request)), active=True).first()
        if worker is None:
            return answer({"error": "no valid worker token: the organiser makes one on the page of workers"}, 401)
        if worker.last_seen is None or abs(timezone.now() - worker.last_seen) > SEEN:
            Worker.objects.filter(pk=worker.pk).update(last_seen=timezone.now())
        return view(request, worker, **parts)

    return checked
