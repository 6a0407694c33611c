"""The name that was probably meant, where one was mistyped."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from protocol.language import tr


def nearest(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'adamw'?`, with an option as it is typed (`--batch-size`); empty where nothing is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    if not close:
        return ""
    return (
        tr(" Did you mean {close}?", close=close[0])
        if close[0].startswith("-")
        else tr(" Did you mean {close!r}?", close=close[0])
    )
