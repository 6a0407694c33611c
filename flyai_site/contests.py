"""Making and changing contests: from a competition that this machine knows, or from an uploaded CSV and pictures."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from flyai_local.contest.competitions import NAME, Competition
from flyai_local.contest.register import add
from flyai_local.errors import UserError
from flyai_local.home import competitions_folder
from flyai_local.submission.unpack import ArchiveError, unpack
from flyai_site import audit, bundles
from flyai_site.models import ANSWERS, CODE, Contest
from flyai_site.storage import folder
from flyai_site.tries import SLOWEST

__all__ = ["FIELDS", "change", "create", "from_upload", "state_of"]

RESERVED = {"new", "workers"}  # addresses of the organisers' pages
TIMES = ("opens", "closes", "reveals")
# Least and most of every number.
NUMBERS: dict[str, tuple[float, float]] = {
    "per_day": (1, 1000),
    "in_total": (1, 100000),
    "max_mb": (1, 100000),
    "minutes": (0.1, 7 * 24 * 60),
    "memory_mb": (256, 10**7),
    "epochs": (1, 10000),
    "batch": (1, 100000),
    "chosen_n": (1, 100),
    "team_size": (1, 100),
}
FIELDS = ("title", "rules", *TIMES, *NUMBERS, "by_invitation")


def create(slug: str, card: Competition, kind: str, owner: User, **wished: Any) -> Contest:
    """A new contest of a competition's data.

    Raises:
        UserError: the name is taken, a value is not accepted, or the data cannot be used.
    """
    if not NAME.fullmatch(slug) or slug in RESERVED:
        raise UserError(_("The address must be 1 to 64 letters a-z, digits, '_' and '-'."))
    if kind not in (CODE, ANSWERS):
        raise UserError(_("The kind %(kind)s is not known: code or answers.") % {"kind": repr(kind)[:60]})
    if Contest.objects.filter(slug__iexact=slug).exists():
        raise UserError(_("There is a contest %(slug)s already.") % {"slug": slug})
    made = bundles.make(slug, card, kind)
    start = timezone.now()
    closes = _moment("closes", wished.get("closes", start + timedelta(days=14)))
    contest = Contest(
        slug=slug, title=slug, kind=kind, owner=owner, metric=card.metric,
        image_column=card.image_column, label_column=card.label_column,
        train_rows=made.train_rows, hidden_rows=made.hidden_rows, data_sha256=made.data, public_sha256=made.public,
        opens=start, closes=closes, reveals=closes + SLOWEST,  # until the last upload is in
    )  # fmt: skip
    _set(contest, wished)
    with transaction.atomic():
        contest.save()
        audit.note(owner, "contest-created", slug, None, state_of(contest))
    return contest


@contextmanager
def from_upload(
    csv: Path, pictures: Path, hidden: float, columns: tuple[str, str], metric: str
) -> Iterator[Competition]:
    """An uploaded CSV and a zip of pictures as a competition of this machine, as long as the body works with it.

    Raises:
        UserError: archive, table or pictures are not as they must be. Nothing stays in any case: a contest keeps its
            own copy.
    """
    name = f"upload-{secrets.token_hex(8)}"
    place = folder("incoming") / name
    try:
        unpack(pictures, place)
        card = add(name, csv, place, hidden=hidden, image_column=columns[0], label_column=columns[1], metric=metric)
        yield card
    except ArchiveError as error:
        raise UserError(str(error)) from error
    except UserError as error:  # the organiser knows the files by other names
        raise UserError(str(error).replace(str(csv), "the CSV").replace(str(place), "the zip")) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(competitions_folder() / name, ignore_errors=True)


def change(contest: Contest, who: User, wished: Mapping[str, Any]) -> None:
    """Change what the organiser may change; the audit keeps both states.

    Raises:
        UserError: a value is not accepted; nothing is changed.
    """
    with transaction.atomic():
        contest = Contest.objects.select_for_update().get(pk=contest.pk)
        before = state_of(contest)
        _set(contest, wished)
        contest.version += 1
        contest.save()
        audit.note(who, "contest-changed", contest.slug, before, state_of(contest))


def state_of(contest: Contest) -> dict[str, Any]:
    """What can be changed, as the audit keeps it."""
    values = {name: getattr(contest, name) for name in FIELDS}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def _set(contest: Contest, wished: Mapping[str, Any]) -> None:
    for name, value in wished.items():
        if name in TIMES:
            setattr(contest, name, _moment(name, value))
        elif name in NUMBERS:
            setattr(contest, name, _number(name, value))
        elif name == "by_invitation":
            contest.by_invitation = value in (True, "on", "yes")
        elif name in ("title", "rules"):
            setattr(contest, name, str(value).strip()[: 200 if name == "title" else 20000])
        else:
            raise UserError(f"{name!r} cannot be set: {', '.join(FIELDS)}")
    if not contest.title:
        contest.title = contest.slug
    if not contest.opens < contest.closes <= contest.reveals:
        raise UserError(_("The contest must open before it closes, and reveal when it closes or later."))


def _moment(name: str, value: Any) -> datetime:
    try:
        found = value if isinstance(value, datetime) else parse_datetime(str(value))
    except ValueError:
        found = None
    if found is None:
        text = _("%(name)s: %(value)s is no moment; write it as 2026-12-24 18:00.")
        raise UserError(text % {"name": name, "value": repr(value)[:60]})
    return timezone.make_aware(found) if timezone.is_naive(found) else found


def _number(name: str, value: Any) -> float:
    least, most = NUMBERS[name]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not least <= number <= most or (name != "minutes" and number != int(number)):
        text = _("%(name)s: %(value)s is not accepted; give a number from %(least)s to %(most)s.")
        raise UserError(text % {"name": name, "value": repr(value)[:60], "least": f"{least:g}", "most": f"{most:g}"})
    return number if name == "minutes" else int(number)
