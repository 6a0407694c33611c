"""The name that was probably meant, where one was mistyped."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from protocol.language import tr


def nearest(word: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None, least: float = 0.5) -> str:
    """` Did you mean 'adamw'?`, with an option as it is typed (`--batch-size`); empty where nothing is near.

    Args:
        elsewhere: what other programs call something, and its name here; a slip in such a name is seen too.
        least: how alike they must be, from 0 to 1 (the same).
    """
    names = {
        **{typed.lower(): here for typed, here in (elsewhere or {}).items()},
        **{name.lower(): name for name in known},
    }
    close = difflib.get_close_matches(word.lower(), list(names), n=1, cutoff=least)
    if not close:
        return ""
    meant = names[close[0]]
    return (
        tr(" Did you mean {close}?", close=meant)
        if meant.startswith("-")
        else tr(" Did you mean {close!r}?", close=meant)
    )
