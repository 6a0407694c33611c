"""`host`: bring the database up to date, see that there is an organiser and a contest, start worker and web server."""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flyai_local.box import bubblewrap
from flyai_local.errors import UserError
from flyai_site.settings import Options, configure
from flyai_site.worker.loop import HOST
from protocol.language import tr

__all__ = ["Service", "prepare", "serve"]

ORGANISER = "organiser"
EVERYWHERE = ("0.0.0.0", "::", "")  # every address of this machine, which nobody can type
AGAIN_SECONDS = 5.0  # between two starts of a worker that ended


@dataclass(frozen=True)
class Service:
    """How the site is served.

    Args:
        options: of the site itself.
        address, port: where it listens; port 0: any that is free.
        workers: how many worker processes run on this machine.
        contest: a competition that this machine knows, made a contest of the same name when there is none.
        kind: "code" or "answers", of that contest.
        proxy: address of a proxy in front, whose X-Forwarded headers are believed.
        nice: by how much workers of this machine stand back, 0 to 19: pages come first, and take little.
    """

    options: Options
    address: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    contest: str = ""
    kind: str = "code"
    proxy: str = ""
    nice: int = 10  # one to nine


def prepare(options: Options) -> None:
    """Django, and the database's tables at the newest form.

    Raises:
        UserError: the database does not answer.
    """
    configure(options)
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import call_command
    from django.db import DatabaseError

    try:
        call_command("migrate", interactive=False, verbosity=0)
    except (DatabaseError, ImproperlyConfigured) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(tr("the database cannot be used ({reason})", reason=reason)) from error


def serve(service: Service) -> None:
    """Serve until the process is told to stop.

    Raises:
        UserError: the port is taken, or runs could not be isolated.
    """
    if service.workers and bubblewrap.program() is None and service.kind == "code":
        raise UserError(
            tr(
                "bubblewrap is absent or does not work here, and a contest does not run foreign code without it: "
                "install it (apt install bubblewrap), host with --kind answers, or use --no-worker and workers "
                "elsewhere"
            )
        )
    prepare(service.options)
    organiser_word()
    if service.contest:
        ensure_contest(service.contest, service.kind)
    from django.core.wsgi import get_wsgi_application

    from flyai_site import doors, server, storage

    folder = service.options.folder / "incoming"
    storage.sweep()
    try:
        web = server.make(
            get_wsgi_application(), service.address, service.port, folder, service.options.max_upload_mb,
            service.proxy, doors.is_known,
        )  # fmt: skip
    except OSError as error:
        raise UserError(
            tr(
                "{place} cannot be used ({reason}): choose another by --port",
                place=f"{service.address}:{service.port}",
                reason=error.strerror,
            )
        ) from error
    stop = threading.Event()
    service = replace(service, port=service.port or _port_of(web))
    keepers = [_keep_worker(service, number, stop) for number in range(service.workers)]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    url = f"http://{service.address}:{service.port}/"
    print(tr("{url} is up; stop with Ctrl-C", url=url), flush=True)
    if service.address in EVERYWHERE:
        own = ", ".join(f"http://{address}:{service.port}/" for address in _addresses())
        print(tr("from other machines: {own}", own=own or tr("this machine has no address but its own")), flush=True)
    try:
        web.run()
    finally:
        stop.set()
        for keeper in keepers:
            keeper()


def _addresses() -> list[str]:
    """By which other machines of the room may reach this one: that of the way out first. Nothing is sent."""
    found = []
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way_out:
        way_out.connect(("192.0.2.1", 9))  # an address that is reserved for documents (RFC 5737)
        found.append(way_out.getsockname()[0])
    with contextlib.suppress(OSError):
        found += [each[4][0] for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    return [address for address in dict.fromkeys(found) if not address.startswith("127.")]


def _port_of(web: Any) -> int:
    """The port that the system chose, where any would do."""
    listens: list[tuple[str, int]] = getattr(web, "effective_listen", None) or [("", web.effective_port)]
    return listens[0][1]


def organiser_word() -> None:
    """On the first start: make the organiser and print the password once."""
    from django.contrib.auth.models import User

    from flyai_site import audit

    if User.objects.filter(is_superuser=True).exists():
        return
    word = secrets.token_urlsafe(12)
    made = User.objects.create_superuser(ORGANISER, password=word)
    audit.note(made, "organiser-made", ORGANISER)
    said = tr("organiser: log in as {name!r} with the password {word}  (shown once)", name=ORGANISER, word=word)
    print(said, flush=True)


def new_password(name: str) -> str:
    """A new password for a person, in a sentence to be printed once; their sessions end.

    Raises:
        UserError: nobody has that name.
    """
    from django.contrib.auth.models import User

    from flyai_site import audit

    found = User.objects.filter(username=name).first()
    if found is None:
        raise UserError(tr("nobody is called {name!r} on this site", name=name))
    word = secrets.token_urlsafe(12)
    found.set_password(word)
    found.save()
    audit.note("host", "password-set", name)
    return tr("{name}: the new password is {word}  (shown once)", name=name, word=word)


def ensure_contest(name: str, kind: str) -> None:
    """A contest of the competition of that name, unless there is one."""
    from django.contrib.auth.models import User

    from flyai_local.contest.competitions import competition
    from flyai_site import contests
    from flyai_site.models import Contest

    if Contest.objects.filter(slug=name).exists():
        return
    owner = User.objects.filter(is_superuser=True).order_by("pk").first()
    contests.create(name, competition(name), kind, owner)
    print(tr("contest {name}: open for two weeks from now; its organiser's page changes that", name=name), flush=True)


def _keep_worker(service: Service, number: int, stop: threading.Event) -> Callable[[], None]:
    """A worker process of this machine, started again when it ends; returns what stops it."""
    from flyai_site.pages.organise import make_worker

    name = f"{platform.node()[:50] or 'host'}-{number}"
    environment = _worker_environment(service, name, make_worker("host", name))
    running: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        while not stop.is_set():
            running[:] = [subprocess.Popen(_worker_command(service), env=environment, start_new_session=True)]
            _give_way(running[0].pid, service.nice)
            running[0].wait()
            stop.wait(AGAIN_SECONDS)

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()

    def end() -> None:
        if running and running[0].poll() is None:
            running[0].send_signal(signal.SIGTERM)
            try:
                running[0].wait(15)
            except subprocess.TimeoutExpired:
                running[0].kill()

    return end


def _give_way(pid: int, by: int) -> None:
    """Let a worker, and so the submissions that it runs, have the processor where the site does not want it."""
    with contextlib.suppress(OSError):  # it has ended already
        nice = min(19, os.getpriority(os.PRIO_PROCESS, 0) + by)
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        # Where the kernel weighs sessions against each other, a process's own number counts within its session alone.
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def _worker_command(service: Service) -> list[str]:
    host = "127.0.0.1" if service.address in ("0.0.0.0", "::", "") else service.address
    return [sys.executable, "-m", "flyai_local", "worker", "--site", f"http://{host}:{service.port}"]


def _worker_environment(service: Service, name: str, token: str) -> dict[str, Any]:
    """The token travels in the environment: a command line can be read by every user of the machine."""
    folder = service.options.folder / "workers" / name
    folder.mkdir(parents=True, exist_ok=True)
    package = str(Path(__file__).resolve().parents[1])
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    return {
        **os.environ,
        "FLYAI_SITE_TOKEN": token,
        HOST: str(os.getpid()),
        "FLYAI_LOCAL_HOME": str(folder),
        "PYTHONPATH": paths,
    }
