"""Rate limits: a counted row per key and minute, so they hold over every process of the site."""

from __future__ import annotations

import time

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from flyai_local.errors import UserError
from flyai_site.models import Tally

__all__ = ["TooManyError", "tick"]


class TooManyError(UserError):
    """Asked too often."""


def tick(key: str, per_minute: int) -> None:
    """Count one use of a key.

    Raises:
        TooManyError: it was used more than `per_minute` times in this minute.
    """
    minute = this_minute()
    with transaction.atomic():
        row, made = Tally.objects.get_or_create(key=key[:120], minute=minute)
        Tally.objects.filter(pk=row.pk).update(count=F("count") + 1)
        if made:
            Tally.objects.filter(minute__lt=minute - 60).delete()
    if row.count + 1 > per_minute:
        raise TooManyError(_("Too many requests: wait a minute and try again."))


def this_minute() -> int:
    """The number of the minute that is counted in."""
    return int(time.time() // 60)
