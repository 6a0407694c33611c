"""When an upload's first byte arrived: what a deadline is judged by. The server notes it; a client cannot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from django.http import HttpRequest
from django.utils import timezone as clock

from flyai_local.errors import UserError
from flyai_site import storage
from flyai_site.storage import CHUNK, TooLargeError

__all__ = ["ARRIVED", "arrived", "keep_body"]

ARRIVED = "flyai.arrived"  # in the WSGI environment; no header can set a name without HTTP_


def arrived(request: HttpRequest) -> datetime:
    """The moment of the request's first byte; where the server does not note it, now."""
    seconds = request.META.get(ARRIVED)
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else clock.now()


def keep_body(request: HttpRequest, max_mb: float) -> tuple[str, int]:
    """Stream a raw body to storage; returns SHA-256 and size.

    Raises:
        UserError: too large, empty, or not the file that X-SHA256 names.
    """
    limit = int(max_mb * 2**20)
    if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
        raise TooLargeError(f"the file is larger than {max_mb:g} MB, the most that is accepted here")
    sha256, size = storage.keep_stream(_pieces(request), limit)
    expected = request.headers.get("X-SHA256", sha256).lower()
    if not size or expected != sha256:
        raise UserError(f"the file arrived as {size} bytes with SHA-256 {sha256}: send it again")
    return sha256, size


def _pieces(request: HttpRequest) -> Iterator[bytes]:
    while piece := request.read(CHUNK):
        yield piece
