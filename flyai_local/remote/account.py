"""The site that this user logged in to: its address and token, in a file that only the user can read."""

from __future__ import annotations

import json
import os
from typing import Any

from flyai_local.errors import UserError
from flyai_local.home import home
from flyai_local.remote.site import Site
from protocol.language import tr

__all__ = ["contest_of", "known_site", "remember"]

FILE = "site.json"


def remember(site: Site) -> None:
    """Keep address and token."""
    file = home() / FILE
    unfinished = home() / f".{FILE}.{os.getpid()}"
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as sink:
        json.dump({"url": site.url, "token": site.token}, sink)
    unfinished.replace(file)


def known_site() -> Site:
    """The site that `login` was told.

    Raises:
        UserError: none.
    """
    try:
        kept = json.loads((home() / FILE).read_text(encoding="utf-8"))
        return Site(str(kept["url"]), str(kept["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(tr("no site is known here: python -m flyai_local login URL")) from None


def contest_of(site: Site, named: str | None) -> str:
    """The contest that is named, or the only one that the user takes part in.

    Raises:
        UserError: none or several; lists them.
    """
    if named:
        return named
    mine: list[dict[str, Any]] = site.ask("GET", "/api/mine")
    if len(mine) == 1:
        return str(mine[0]["contest"])
    names = ", ".join(str(one["contest"]) for one in mine) or tr("none yet: open the contest's page and join it")
    raise UserError(tr("name the contest by --contest; you take part in: {names}", names=names))
