"""Get a token from a contest's site and keep it, for `submit`, `board --site` and `log N --site`.

Asks for name and password; --token takes one that the page of your name made instead.
"""

from __future__ import annotations

import argparse
import getpass
import platform
import sys

from flyai_local.errors import UserError
from flyai_local.remote.account import remember
from flyai_local.remote.site import Site
from protocol.language import later, tr

EXIT_CODES = {
    0: later("the token is kept"),
    1: later("refused: a sentence on stderr says why"),
    2: later("wrong usage"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `login`."""
    parser.add_argument("url", metavar="URL", help=tr("address of the site, for instance https://contest.example"))
    parser.add_argument("--name", metavar="NAME", help=tr("your name there (asked for otherwise)"))
    parser.add_argument("--token", metavar="T", help=tr("a token of yours, instead of name and password"))


def run(args: argparse.Namespace) -> int:
    """Log in and keep the token."""
    token = args.token
    if token is None:
        name = args.name or _asked("name: ")
        password = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        label = f"command line on {platform.node()}"
        given = Site(args.url).ask("POST", "/api/login", {"name": name, "password": password, "label": label})
        token = given["token"]
    site = Site(args.url, token)
    contests = ", ".join(one["contest"] for one in site.ask("GET", "/api/mine")) or tr("none yet: join one on its page")
    remember(site)
    print(tr("logged in to {url}; you take part in: {contests}", url=args.url, contests=contests))
    return 0


def _asked(question: str) -> str:
    if not sys.stdin.isatty():
        raise UserError(tr("there is no terminal to ask for the name: give --name NAME and the password on stdin"))
    return input(question).strip()
