"""A PostgreSQL of one's own for a while: a fresh cluster on a free port, gone at the end (Debian's programs)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["fresh_database", "postgres"]


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
    port = 20000 + os.getpid() % 20000
    _quietly([*drop, str(found / "initdb"), "-D", str(data / "db"), "-N", "-A", "trust", "-U", "flyai"])
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    server = [*drop, str(found / "pg_ctl"), "-D", str(data / "db"), "-w"]
    _quietly([*server, "-l", str(data / "log"), "-o", options, "start"])
    try:
        yield f"postgresql://flyai@127.0.0.1:{port}/"
    finally:
        subprocess.run([*server, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/")
        shutil.rmtree(data, ignore_errors=True)


def fresh_database(server: str) -> str:
    """The URL of an empty database on that server."""
    import psycopg

    name = f"q{time.time_ns()}"
    with psycopg.connect(server + "postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
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
