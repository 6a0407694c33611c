"""When an upload's first byte arrived: what a deadline is judged by. The server notes it; a client cannot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from django.http import HttpRequest
from django.utils import timezone as clock
from django.utils.translation import gettext as _

from flyai_local.errors import UserError
from flyai_site import storage
from flyai_site.storage import CHUNK, Arriving, Incoming, TooLargeError

__all__ = ["ARRIVED", "arrived", "receive"]

ARRIVED = "flyai.arrived"  # in the WSGI environment; no header can set a name without HTTP_


def arrived(request: HttpRequest) -> datetime:
    """The moment of the request's first byte; where the server does not note it, now."""
    seconds = request.META.get(ARRIVED)
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else clock.now()


def receive(request: HttpRequest, max_mb: float) -> Incoming:
    """A raw body on the disk, to be kept or dropped. What the server wrote there already is not written again.

    Raises:
        UserError: too large, empty, or not the file that X-SHA256 names.
    """
    limit = int(max_mb * 2**20)
    if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
        raise TooLargeError(_("The file is larger than %(most)d MB.") % {"most": max_mb})
    body = request.META.get("wsgi.input")
    incoming = Incoming(limit, body) if isinstance(body, Arriving) else storage.arrive(_pieces(request), limit)
    sha256 = incoming.settle()
    if not incoming.size or request.headers.get("X-SHA256", sha256).lower() != sha256:
        incoming.drop()
        text = _("The file arrived as %(size)d bytes with SHA-256 %(sha256)s: send it again.")
        raise UserError(text % {"size": incoming.size, "sha256": sha256})
    return incoming


def _pieces(request: HttpRequest) -> Iterator[bytes]:
    while piece := request.read(CHUNK):
        yield piece
