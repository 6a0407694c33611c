"""Host a contest on this machine: a web site, its queue and a worker that runs the submissions.

The first start prints the organiser's password once. docs/hosting.md says the rest: PostgreSQL, more workers, backup.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from flyai_local.errors import UserError
from flyai_local.home import home
from protocol.arguments import whole
from protocol.language import later, tr

EXIT_CODES = {
    0: later("the deed is done"),
    1: later("refused: a sentence on stderr says why"),
    2: later("wrong usage"),
    130: later("stopped by Ctrl-C, as a site is"),
}
DEEDS = ("serve", "backup", "restore", "export", "password")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `host`."""
    parser.add_argument(
        "deed",
        nargs="?",
        choices=DEEDS,
        default="serve",
        help=tr(
            "serve (default); backup or restore the whole site to or from FILE; export the board of "
            "--contest to FILE; password: a new one for the person of that name"
        ),
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help=tr("the file, or the name for password"))
    add = parser.add_argument
    add("--folder", type=Path, metavar="DIR", help=tr("database, uploads, logs (the user's folder/site)"))
    add("--database", default="", metavar="URL", help=tr("postgresql://USER:PASSWORD@HOST:PORT/NAME (SQLite)"))
    add("--address", default="127.0.0.1", metavar="IP", help=tr("where to listen; 0.0.0.0 for all (%(default)s)"))
    add("--port", type=whole(0, 65535), default=8000, help=tr("where to listen (%(default)s)"))
    add("--contest", default="", metavar="ID", help=tr("a competition of this machine to make a contest of"))
    add("--kind", choices=("code", "answers"), default="code", help=tr("of that contest (%(default)s)"))
    add("--workers", type=whole(0), default=1, metavar="N", help=tr("worker processes on this machine (%(default)s)"))
    add(
        "--nice", type=int, default=10, choices=range(20), metavar="N",
        help=tr("how far workers of this machine stand back behind the pages: 0 to 19 (%(default)s)"),
    )  # fmt: skip
    add("--no-worker", action="store_true", help=tr("no worker here: they run elsewhere"))
    add("--hosts", default="*", metavar="NAMES", help=tr("names that the site answers to, with commas (all)"))
    add("--proxy", default="", metavar="IP", help=tr("a proxy in front speaks HTTPS: believe its headers"))
    add("--max-upload-mb", type=whole(), default=512, metavar="MB", help=tr("largest upload (%(default)s)"))
    add("--lease", type=float, default=30.0, metavar="SECONDS", help=tr("silence that loses a run (%(default)g)"))
    add("--admin", action="store_true", help=tr("mount Django's admin of people at /admin/; only on 127.0.0.1"))


def run(args: argparse.Namespace) -> int:
    """Start flyai_site, where the extra is installed."""
    try:
        import argon2  # noqa: F401
        import django  # noqa: F401
        import waitress  # noqa: F401
    except ImportError as error:
        raise UserError(
            tr(
                "hosting needs packages that are not here ({name}): pip install -r requirements-host.txt",
                name=error.name,
            )
        ) from error
    from flyai_site.commands import perform

    return perform(args, args.folder or home() / "site")
