"""The organiser's command line: `python -m flyai_local host [serve|backup|restore|export]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from flyai_local.errors import UserError
from flyai_site.settings import Options
from flyai_site.start import Service, new_password, prepare, serve
from protocol.language import tr

__all__ = ["perform"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def perform(args: argparse.Namespace, folder: Path) -> int:
    """Do what the command line says.

    Raises:
        UserError: it cannot be done.
    """
    options = Options(
        folder=folder.absolute(),
        database=args.database,
        hosts=tuple(name.strip() for name in args.hosts.split(",") if name.strip()),
        https=bool(args.proxy),
        admin=args.admin,
        max_upload_mb=args.max_upload_mb,
        lease_seconds=args.lease,
    )
    if args.admin and (args.proxy or args.address not in LOOPBACK):
        raise UserError(
            tr(
                "--admin is for this machine alone: leave --address at 127.0.0.1 and --proxy out, and reach it from "
                "elsewhere by an SSH tunnel (ssh -L 8000:127.0.0.1:8000 HOST)"
            )
        )
    if args.deed == "serve":
        workers = 0 if args.no_worker else args.workers
        serve(Service(options, args.address, args.port, workers, args.contest, args.kind, args.proxy, args.nice))
        return 0
    if args.file is None:
        raise UserError(tr("host {deed} needs a file: python -m flyai_local host {deed} FILE", deed=args.deed))
    from flyai_site import backup

    if args.deed == "restore":
        print(backup.restore(options, args.file))
        return 0
    prepare(options)
    if args.deed == "password":
        print(new_password(str(args.file)))
    else:
        print(backup.save(options, args.file) if args.deed == "backup" else backup.export(args.contest, args.file))
    return 0
