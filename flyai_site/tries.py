"""Taking an upload: time, limits and place in one transaction, so that two tabs cannot both be the last try."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from flyai_local.errors import UserError
from flyai_site import queue
from flyai_site.models import Contest, Member, Participant, Run, Submission
from flyai_site.plain import one_line
from flyai_site.storage import Incoming

__all__ = ["SLOWEST", "left", "member", "refuse_closed", "refuse_used_up", "take"]

SLOWEST = timedelta(minutes=15)  # from an upload's first byte to its last, for one that began before the deadline


def member(contest: Contest, user: AbstractBaseUser) -> Participant:
    """The participant that a person is in a contest.

    Raises:
        UserError: none.
    """
    found = Member.objects.filter(contest=contest, user=user).select_related("participant").first()
    if found is None:
        raise UserError(_("You have not joined this contest: open its page and join first."))
    participant: Participant = found.participant
    if not participant.active:
        raise UserError(_("This participant was disqualified: %(reason)s") % {"reason": participant.reason})
    return participant


def refuse_closed(contest: Contest, arrived: datetime) -> None:
    """Refuse an upload whose first byte came too early or too late, or whose last was held back.

    Nothing is taken once private scores are shown, whenever it began: who held its end back would know them.

    Raises:
        UserError: says which, and the moment that counts.
    """
    if arrived < contest.opens:
        raise UserError(_("The contest has not opened yet: it opens at %(time)s.") % {"time": _moment(contest.opens)})
    if arrived >= contest.closes:
        raise UserError(_("The contest is closed since %(time)s.") % {"time": _moment(contest.closes)})
    if contest.revealed:
        raise UserError(_("The private scores are shown already: nothing was taken."))
    if timezone.now() - arrived > SLOWEST:
        raise UserError(_("The upload took more than 15 minutes: nothing was taken."))


def take(contest: Contest, user: AbstractBaseUser, file: Incoming, arrived: datetime, label: str = "") -> Run:
    """Keep an upload that has arrived and put it into the queue; what is refused leaves nothing.

    Raises:
        UserError: the contest is closed, the person is not in it, or the tries are used up.
    """
    try:
        file.settle()  # before others have to wait for this one
        with transaction.atomic():
            who = Participant.objects.select_for_update().get(pk=member(contest, user).pk)  # one upload at a time
            contest = Contest.objects.get(pk=contest.pk)
            refuse_closed(contest, arrived)
            refuse_used_up(contest, who, arrived)
            sha256, size = file.keep()
            made = Submission.objects.create(
                participant=who, user=user, sha256=sha256, size_bytes=size, arrived=arrived, label=one_line(label)[:200]
            )
            return queue.enqueue(made)
    except BaseException:
        file.drop()
        raise


def refuse_used_up(contest: Contest, who: Participant, arrived: datetime) -> None:
    """Refuse an upload for which no try is left.

    Raises:
        UserError: says which tries are used up.
    """
    today, ever = left(contest, who, arrived)
    if ever < 1:
        raise UserError(_("All %(count)d tries of this contest are used.") % {"count": contest.in_total})
    if today < 1:
        text = _("All %(count)d tries of today are used: the next day begins at midnight, %(zone)s.")
        raise UserError(text % {"count": contest.per_day, "zone": timezone.get_default_timezone_name()})


def left(contest: Contest, who: Participant, moment: datetime | None = None) -> tuple[int, int]:
    """Tries that are left on the day of that moment (now) and in all. What the platform alone broke is not counted.

    An upload that began before midnight is a try of the day before, whenever it ends.
    """
    counted = Submission.objects.filter(participant=who, counts=True)
    midnight = timezone.localtime(moment).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    day = counted.filter(arrived__gte=midnight, arrived__lt=midnight + timedelta(days=1))
    ever = contest.in_total - counted.count()
    return max(0, min(contest.per_day - day.count(), ever)), max(0, ever)


def _moment(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M %Z")
