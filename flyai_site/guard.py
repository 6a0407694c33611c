"""What stands before every page: headers of the browser's own protections, and refusals told in a sentence."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from flyai_local.errors import UserError
from flyai_site.rates import TooManyError
from flyai_site.storage import TooLargeError
from protocol.language import speaking

__all__ = ["REPORT_POLICY", "headers", "malformed", "refused", "refused_form", "sentences"]

Answer = Callable[[HttpRequest], HttpResponse]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# A submission's report: no script, no form, no request, an origin of its own that shares nothing with the site.
REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"


def headers(get_response: Answer) -> Answer:
    """Middleware: a strict policy on every answer that has none of its own, and no copy in shared caches."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return response

    return middleware


class sentences:  # noqa: N801 - middleware, named as the other one
    """Middleware: an error of a user becomes a sentence, as a page or as JSON; never a stack trace.

    What this project's other rooms say meanwhile is in the reader's language too, not in that of the server's shell.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with speaking(get_language() or "en"):
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The answer to an error that is somebody's to mend."""
        if isinstance(error, UserError):
            return refused(request, str(error), _status(error))
        if isinstance(error, PermissionDenied):
            return refused(request, _("This page is for the organisers of the contest."), 403)
        if isinstance(error, Http404):
            return refused(request, _("There is nothing under this address, or it is not yours to see."), 404)
        return None


def refused(request: HttpRequest, sentence: str, status: int) -> HttpResponse:
    """A refusal in a sentence."""
    if request.path.startswith("/api/"):
        return JsonResponse({"error": sentence}, status=status, json_dumps_params={"ensure_ascii": False})
    return render(request, "refused.html", {"sentence": sentence}, status=status)


def refused_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without the word that only our own pages know."""
    return refused(request, _("The form is too old or comes from another site: open the page again."), 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An address that leads nowhere."""
    return refused(request, _("There is nothing under this address, or it is not yours to see."), 404)


def malformed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that is none: too many fields, a name of a host that is not ours."""
    return refused(request, _("The request is not one that this site understands."), 400)


def broken(request: HttpRequest) -> HttpResponse:
    """A fault of the site itself; the log holds it."""
    return refused(request, _("The site itself failed. The organiser finds the reason in its log."), 500)


def _status(error: UserError) -> int:
    return 429 if isinstance(error, TooManyError) else 413 if isinstance(error, TooLargeError) else 409
