"""The record of what organisers and people did. Rows are only added: triggers in the database refuse the rest."""

from __future__ import annotations

from typing import Any

from flyai_site.models import Audit

__all__ = ["note"]


def note(who: object, verb: str, what: object, before: Any = None, after: Any = None) -> None:
    """Add a row; call it in the transaction of the deed itself, so that one cannot be without the other."""
    name = getattr(who, "username", None) or str(who)
    Audit.objects.create(who=name[:150], verb=verb, object=str(what)[:200], before=before, after=after)
