"""The web server (waitress): bodies go to disk while they arrive, their first byte is timed, their size is bounded.

A slow upload holds no thread: waitress reads all connections in one loop and hands a request over when it is whole.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import waitress.server
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import WSGITask
from waitress.utilities import RequestEntityTooLarge

from flyai_site.arrival import ARRIVED

__all__ = ["make"]

FORM_MB = 4  # of a body that is no upload
UPLOADS = ("/submissions", "/submit", "/organise/new", "/report")
THREADS = 8
LOOK_BYTES = 2**22  # of a body, between two looks at the disk
SPARE_MB = 512  # of the disk that bodies leave free, whoever sends them


class Parser(HTTPRequestParser):
    """Notes when the request's first byte came, and refuses a large body where none is expected."""

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.arrived = time.time()
        self.completed: bool
        self._since_look = 0

    def received(self, data: bytes) -> int:
        """As waitress does; then the bound of the path, before the body is read."""
        took: int = super().received(data)
        large = self.headers_finished and (self.chunked or self.content_length > FORM_MB * 2**20)
        if large and not self.completed and not self.path.rstrip("/").endswith(UPLOADS):
            self.error = RequestEntityTooLarge(f"at most {FORM_MB} MB are accepted at this address")
            self.completed = True
        self._since_look += took
        if self._since_look > LOOK_BYTES:
            self._since_look = 0
            if shutil.disk_usage(tempfile.gettempdir()).free < SPARE_MB * 2**20:
                self.error = RequestEntityTooLarge("the site's disk is nearly full: nothing is taken")
                self.completed = True
        return took


class Task(WSGITask):
    """Hands the moment of the first byte to the application."""

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environment."""
        environment: dict[str, Any] = super().get_environment()
        environment[ARRIVED] = self.request.arrived
        return environment


class Channel(HTTPChannel):
    """A connection with the parser and task above."""

    parser_class = Parser
    task_class = Task


def make(application: Any, host: str, port: int, folder: Path, max_upload_mb: int, proxy: str = "") -> Any:
    """A server that listens; call its `run`.

    Args:
        folder: where bodies wait while they arrive; on the disk of the uploads.
        proxy: address of a proxy whose X-Forwarded headers are believed, or "".
    """
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(folder)
    trusted = {"trusted_proxy": proxy, "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
               "trusted_proxy_count": 1} if proxy else {}  # fmt: skip
    waitress.server.BaseWSGIServer.channel_class = Channel
    return waitress.server.create_server(
        application,
        host=host,
        port=port,
        threads=THREADS,
        connection_limit=600,
        channel_timeout=120,
        max_request_body_size=max_upload_mb * 2**20,
        inbuf_overflow=2**18,
        clear_untrusted_proxy_headers=True,
        ident=None,
        **trusted,
    )
