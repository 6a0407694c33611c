"""Run submissions for a contest's site, from any machine that reaches it by HTTP.

The token comes from the site's page of workers; FLYAI_SITE_TOKEN may hold it instead, where no process list shows it.
Needs nothing beyond this project's requirements, and bubblewrap: without it, only tables of answers are taken.
"""

from __future__ import annotations

import argparse
import os

from flyai_local.errors import UserError
from flyai_local.remote.site import Site
from protocol.language import later, tr

EXIT_CODES = {
    0: later("the queue was empty (with --once)"),
    1: later("refused: a sentence on stderr says why"),
    2: later("wrong usage"),
    130: later("stopped by Ctrl-C; the run at work goes to another worker when its lease is over"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `worker`."""
    parser.add_argument("--site", required=True, metavar="URL", help=tr("the contest's site"))
    parser.add_argument("--token", default="", metavar="T", help=tr("the worker's token (FLYAI_SITE_TOKEN)"))
    parser.add_argument("--once", action="store_true", help=tr("end when the queue is empty"))


def run(args: argparse.Namespace) -> int:
    """Work until told to stop."""
    token = args.token or os.environ.pop("FLYAI_SITE_TOKEN", "")
    if not token:
        raise UserError(tr("a worker needs --token T: the site's organiser makes one on the page of workers"))
    from flyai_site.worker.loop import serve

    serve(Site(args.site, token), lambda line: print(line, flush=True), once=args.once)
    return 0
