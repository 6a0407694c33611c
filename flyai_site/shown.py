"""How values are written on the pages: template filters that every template has."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from flyai_local.run.causes import explain
from flyai_local.states import STATES, Code, State
from flyai_site.pages.frame import is_zh
from protocol.language import translated

register = template.Library()


@register.filter
def points(value: float | None) -> str:
    """A score in percent with its two decimals; a dash for none."""
    return f"{value:.2f}" if isinstance(value, (int, float)) else "–"


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """A moment in the site's time zone, readable by people and programs."""
    if value is None:
        return "–"
    local = timezone.localtime(value)
    return format_html('<time datetime="{}">{}</time>', local.isoformat(), local.strftime("%Y-%m-%d %H:%M"))


@register.filter
def field_moment(value: datetime | None) -> str:
    """A moment as a field of a form takes it."""
    return "" if value is None else timezone.localtime(value).strftime("%Y-%m-%dT%H:%M")


@register.filter
def megabytes(value: float | None) -> str:
    """Bytes in MB, few of them in kB."""
    if value is None:
        return "–"
    return f"{value / 2**20:.2f} MB" if value >= 2**17 else f"{value / 2**10:.1f} kB"


@register.filter
def span(value: float | None) -> str:
    """Seconds, in the unit that suits them."""
    if value is None:
        return "–"
    if value < 90:
        return _("%(count)d s") % {"count": round(value)}
    if value < 5400:
        return _("%(count)d min") % {"count": round(value / 60)}
    return _("%(count).1f h") % {"count": value / 3600}


@register.filter
def state_word(value: str) -> str:
    """A state in one word."""
    return {
        State.QUEUED: _("queued"),
        State.PACKING: _("unpacking"),
        State.INSTALLING: _("installing"),
        State.TRAINING: _("training"),
        State.EVALUATING: _("evaluating"),
        State.SCORED: _("scored"),
        State.FAILED: _("failed"),
        State.CRASHED: _("platform fault"),
        State.CANCELLED: _("cancelled"),
    }[State(value)]


@register.filter
def state_sentence(value: str) -> str:
    """What a state means."""
    return translated(STATES[State(value)], "zh" if is_zh() else "en")


@register.filter
def why(code: str) -> dict[str, str] | None:
    """Cause and remedy of a code, in the page's language."""
    if not code:
        return None
    cause, remedy = explain(Code(code), "zh" if is_zh() else "en")
    return {"code": code, "cause": cause, "remedy": remedy}


@register.filter
def item(values: dict[Any, Any], key: Any) -> Any:
    """An entry of a dict."""
    return values.get(key)


@register.filter
def unlocalized(value: float) -> str:
    """A number as a form takes it back."""
    return f"{value:g}" if value < 1e6 else str(value)


@register.filter
def field_word(name: str) -> str:
    """What a limit is called."""
    return {
        "per_day": _("Tries a day"),
        "in_total": _("Tries in all"),
        "max_mb": _("MB of an upload"),
        "minutes": _("Minutes of a run"),
        "memory_mb": _("MB of memory of a run"),
        "epochs": _("Epochs (-e)"),
        "batch": _("Batch (-b)"),
        "chosen_n": _("Chosen submissions that count"),
        "team_size": _("People in a team"),
    }[name]


@register.filter
def changes(row: Any) -> list[str]:
    """What a row of the audit changed."""
    before, after = row.before, row.after
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [] if after is None else [", ".join(map(str, after)) if isinstance(after, list) else str(after)]
    return [f"{name}: {before.get(name)} → {value}" for name, value in after.items() if before.get(name) != value]
