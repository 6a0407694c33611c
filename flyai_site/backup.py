"""A whole site in one file, taken while it runs: the database by its own online backup, and what it refers to.

The database is copied first and the files after it, so every file that the copy names is there: files are written
before their row and never changed. Never copy a database file of a running site: its newest rows lie beside it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

from flyai_local.errors import UserError
from flyai_site.settings import Options, database
from protocol.language import tr

__all__ = ["export", "restore", "save"]

FOLDERS = ("blobs", "logs", "reports")
SQLITE, POSTGRES = "site.sqlite", "site.pgdump"


def save(options: Options, target: Path) -> str:
    """Write the backup; returns a sentence on it.

    Raises:
        UserError: the file is there already, or the database's own program is missing or fails.
    """
    if target.exists():
        raise UserError(tr("{file!r} is there already: name a new file", file=str(target)))
    unfinished = target.with_name(f".{target.name}.part")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        copy = _copy(options, Path(folder))
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            archive.write(copy, copy.name)
            archive.write(options.folder / "secret", "secret")
            count = 0
            for name in FOLDERS:
                for file in sorted((options.folder / name).rglob("*")):
                    if file.is_file():
                        archive.write(file, file.relative_to(options.folder).as_posix())
                        count += 1
    unfinished.chmod(0o600)
    unfinished.replace(target)
    size = target.stat().st_size / 2**20
    return tr("{file}: the database and {count} files, {size:.1f} MB; it holds all secrets",
              file=target, count=count, size=size)  # fmt: skip


def restore(options: Options, source: Path) -> str:
    """Bring a backup into an empty folder (and an empty database); returns a sentence on it.

    Raises:
        UserError: the folder holds a site already, or the file is no backup of this kind of database.
    """
    if (options.folder / "secret").exists() or (options.folder / SQLITE).exists():
        raise UserError(
            tr("{folder!r} holds a site already: restore into a new folder by --folder", folder=str(options.folder))
        )
    dump = POSTGRES if options.database else SQLITE
    try:
        with zipfile.ZipFile(source) as archive:
            names = archive.namelist()
            if dump not in names:
                held = "PostgreSQL" if POSTGRES in names else "SQLite" if SQLITE in names else tr("no site")
                raise UserError(
                    tr(
                        "{file} is a backup of {held}: a backup goes back into the same kind of database",
                        file=source,
                        held=held,
                    )
                )
            options.folder.mkdir(parents=True, exist_ok=True)
            options.folder.chmod(0o700)
            archive.extractall(options.folder)  # zipfile drops what would leave the folder
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(tr("{file} cannot be read: {reason}", file=source, reason=error)) from error
    (options.folder / "secret").chmod(0o600)
    if options.database:
        _program(options, ["pg_restore", "--exit-on-error", "--no-owner", "-d"], [str(options.folder / POSTGRES)])
        (options.folder / POSTGRES).unlink()
    return tr(
        "{folder}: restored from {file}; start it with python -m flyai_local host --folder ...",
        folder=options.folder,
        file=source,
    )


def export(slug: str, target: Path) -> str:
    """Write the board of a contest as CSV, as it is shown now; returns a sentence on it."""
    import csv

    from flyai_site.models import Contest
    from flyai_site.plain import cell
    from flyai_site.standings import standings

    contest = Contest.objects.filter(slug=slug).first()
    if contest is None:
        known = ", ".join(Contest.objects.values_list("slug", flat=True))
        raise UserError(tr("there is no contest {name!r}: {known}", name=slug, known=known))
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(["rank", "name", "public", *(["private"] if contest.revealed else []), "tries", "arrived"])
        for row in standings(contest):
            private = [row.private] if contest.revealed else []
            table.writerow([row.rank, cell(row.name), row.public, *private, row.tries, row.arrived.isoformat()])
    if contest.revealed:
        return tr("{file}: the board of {name}, private scores included", file=target, name=slug)
    return tr("{file}: the board of {name}, public scores only", file=target, name=slug)


def _copy(options: Options, folder: Path) -> Path:
    if options.database:
        _program(options, ["pg_dump", "--format=custom", "--file", str(folder / POSTGRES), "-d"], [])
        return folder / POSTGRES
    with (
        closing(sqlite3.connect(options.folder / SQLITE, timeout=60)) as source,
        closing(sqlite3.connect(folder / SQLITE)) as copy,
    ):
        source.backup(copy)
    return folder / SQLITE


def _program(options: Options, before: list[str], after: list[str]) -> None:
    """Run a program of PostgreSQL; the password travels in the environment."""
    known: dict[str, Any] = database(options)
    if shutil.which(before[0]) is None:
        raise UserError(tr("{name} is not here: install PostgreSQL's client programs", name=before[0]))
    names = {"PGPASSWORD": "PASSWORD", "PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER"}
    given = {name: known[key] for name, key in names.items() if known[key]}
    ran = subprocess.run(
        [*before, known["NAME"], *after], env={**os.environ, **given}, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        reason = ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else ""
        raise UserError(tr("{name} failed: {reason}", name=before[0], reason=reason))
