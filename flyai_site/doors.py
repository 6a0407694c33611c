"""Who may send a large body: judged by its headers, before the body is read, so that a stranger fills no disk.

It opens nothing else: whether the upload is taken is decided where it is taken.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection
from django.http.cookie import parse_cookie
from django.utils import timezone

from flyai_site.models import Token, Worker
from flyai_site.words import hashed

__all__ = ["is_known"]


def is_known(headers: Mapping[str, str]) -> bool:
    """Whether the headers (names as in HTTP_AUTHORIZATION, without HTTP_) are of a person or a worker of this site.

    Where the database does not answer, everybody is: the application will say so in a sentence.
    """
    kind, _, word = headers.get("AUTHORIZATION", "").partition(" ")
    key = parse_cookie(headers.get("COOKIE", "")).get("sessionid", "")
    try:
        if kind == "Bearer" and word:
            own = hashed(word)
            known = Token.objects.filter(token_hash=own, expires__gt=timezone.now())
            return known.exists() or Worker.objects.filter(token_hash=own, active=True).exists()
        return bool(key) and Session.objects.filter(session_key=key, expire_date__gt=timezone.now()).exists()
    except DatabaseError:
        connection.close()
        return True
