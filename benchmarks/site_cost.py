"""What a request costs the contest site in processor time, the server left out; a busy machine changes little of it."""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.site_host import fill
from flyai_site.settings import Options, configure

__all__ = ["cost"]


def cost(count: int, submissions: int) -> dict[str, float]:
    """Processor milliseconds of requests on a class of that many people, `submissions` scored ones each."""
    with tempfile.TemporaryDirectory() as folder:
        configure(Options(Path(folder)))
        _contest(count, submissions)
        from flyai_site import standings
        from flyai_site.models import Contest

        contest, ask = Contest.objects.get(), _asked()
        rows, api = "/c/Digits/board/rows", "/api/c/Digits/board"
        tag = ask(rows)["ETag"]

        def anew() -> None:
            standings._boards.clear()
            standings.newest(contest)

        return {
            "rows_ms": _spent(lambda: ask(rows), 200),
            "rows_unchanged_ms": _spent(lambda: ask(rows, HTTP_IF_NONE_MATCH=tag), 200),
            "api_board_ms": _spent(lambda: ask(api), 200),
            "board_page_ms": _spent(lambda: ask("/c/Digits/board"), 50),
            "new_board_ms": _spent(anew, 5),
        }


def _contest(count: int, submissions: int) -> None:
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from flyai_site import start

    call_command("migrate", verbosity=0)
    User.objects.create_superuser("o")
    start.ensure_contest("Digits", "code")
    fill(count, submissions)


def _asked() -> Callable[..., dict[str, str]]:
    """What asks the application, as the server does; it returns the headers of the answer."""
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()

    def ask(path: str, **headers: str) -> dict[str, str]:
        told: dict[str, Any] = {}
        environment = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "localhost", "SERVER_PORT": "80",
                       "HTTP_HOST": "localhost", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
                       "wsgi.errors": sys.stderr, **headers}  # fmt: skip
        answer = application(environment, lambda status, head, error=None: told.update(head))
        b"".join(answer)
        answer.close()
        return told

    return ask


def _spent(deed: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        deed()
    return round(1000 * (time.process_time() - began) / times, 2)
