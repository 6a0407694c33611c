"""A PostgreSQL of one's own for a while: a fresh cluster on a free port, gone at the end (Debian's programs)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.site_host import free_port

__all__ = ["fresh_database", "postgres"]

STARTS = 3


@contextmanager
def postgres() -> Iterator[str | None]:
    """The URL of a server, to be ended by a database's name; None where no server or psycopg is installed."""
    found = _programs()
    if found is None:
        yield None
        return
    data = Path("/tmp") / f"flyai-pg-{os.getpid()}"  # the server's user must reach it
    data.mkdir(mode=0o700)
    drop = []
    if os.getuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        drop = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    _quietly([*drop, str(found / "initdb"), "-D", str(data / "db"), "-N", "-A", "trust", "-U", "flyai"])
    server = [*drop, str(found / "pg_ctl"), "-D", str(data / "db"), "-w"]
    port = _started([*server, "-l", str(data / "log")])
    try:
        yield f"postgresql://flyai@127.0.0.1:{port}/"
    finally:
        subprocess.run([*server, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/")
        shutil.rmtree(data, ignore_errors=True)


def _started(server: list[str]) -> int:
    """Start it on a port that is free, and on another one where somebody took that meanwhile; returns the port."""
    for left in reversed(range(STARTS)):
        port = free_port()
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        command = [*server, "-o", options, "start"]
        if subprocess.run(command, check=not left, capture_output=True, cwd="/").returncode == 0:
            break
    return port


def fresh_database(server: str, like: str = "") -> str:
    """The URL of an empty database on that server, or of a copy of the database of that URL."""
    import psycopg

    name = f"q{time.time_ns()}"
    with psycopg.connect(server + "postgres", autocommit=True) as connection:
        template = like.removeprefix(server) or "template1"
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return server + name


def _programs() -> Path | None:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return None
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb") or next((str(p / "initdb") for p in folders if (p / "initdb").exists()), None)
    return Path(found).resolve().parent if found else None


def _quietly(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd="/")
