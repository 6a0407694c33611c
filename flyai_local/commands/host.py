"""Host a contest on this machine: a web site, its queue and a worker that runs the submissions.

The first start prints the organiser's password once. docs/hosting.md says the rest: PostgreSQL, more workers, backup.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from flyai_local.errors import UserError
from flyai_local.home import home

EXIT_CODES = {
    0: "the deed is done",
    1: "refused: a sentence on stderr says why",
    2: "wrong usage",
    130: "stopped by Ctrl-C, as a site is",
}
DEEDS = ("serve", "backup", "restore", "export", "password")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `host`."""
    parser.add_argument(
        "deed",
        nargs="?",
        choices=DEEDS,
        default="serve",
        help="serve (default); backup or restore the whole site to or from FILE; export the board of --contest to "
        "FILE; password: a new one for the person of that name",
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the file, or the name for password")
    add = parser.add_argument
    add("--folder", type=Path, metavar="DIR", help="database, uploads, logs (the user's folder/site)")
    add("--database", default="", metavar="URL", help="postgresql://USER:PASSWORD@HOST:PORT/NAME (SQLite)")
    add("--address", default="127.0.0.1", metavar="IP", help="where to listen; 0.0.0.0 for all (%(default)s)")
    add("--port", type=int, default=8000, help="where to listen (%(default)s)")
    add("--contest", default="", metavar="ID", help="a competition of this machine to make a contest of")
    add("--kind", choices=("code", "answers"), default="code", help="of that contest (%(default)s)")
    add("--workers", type=int, default=1, metavar="N", help="worker processes on this machine (%(default)s)")
    add("--no-worker", action="store_true", help="no worker here: they run elsewhere")
    add("--hosts", default="*", metavar="NAMES", help="names that the site answers to, with commas (all)")
    add("--proxy", default="", metavar="IP", help="a proxy in front speaks HTTPS: believe its headers")
    add("--max-upload-mb", type=int, default=512, metavar="MB", help="largest upload (%(default)s)")
    add("--lease", type=float, default=30.0, metavar="SECONDS", help="silence that loses a run (%(default)g)")
    add("--admin", action="store_true", help="mount Django's admin of people at /admin/; only on 127.0.0.1")


def run(args: argparse.Namespace) -> int:
    """Start flyai_site, where the extra is installed."""
    try:
        import argon2  # noqa: F401
        import django  # noqa: F401
        import waitress  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"hosting needs packages that are not here ({error.name}): pip install -r requirements-host.txt"
        ) from error
    from flyai_site.commands import perform

    return perform(args, args.folder or home() / "site")
