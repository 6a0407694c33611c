"""The web server (waitress): bodies go to disk while they arrive, their first byte is timed, their size is bounded.

A slow upload holds no thread: waitress reads all connections in one loop and hands a request over when it is whole.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import waitress.server
from waitress.buffers import FileBasedBuffer, OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import WSGITask
from waitress.utilities import Error

from flyai_site.arrival import ARRIVED
from flyai_site.storage import Arriving
from protocol.language import speaking, tr

__all__ = ["make"]

FORM_MB = 4  # of a body that is no upload
UPLOADS = ("/submissions", "/submit", "/organise/new", "/report")
THREADS = 8
CONNECTIONS = 4000  # a browser keeps one or two while it looks at a live page
HEADER_BYTES = 2**15
PIECE_BYTES = 2**16  # read from a connection at once
LOOK_BYTES = 2**22  # of a body, between two looks at the disk
SPARE_MB = 512  # of the disk that bodies leave free, whoever sends them


class Body(OverflowableBuffer):  # type: ignore[misc]
    """What has come of a body: a large one is a file in the site's folder, hashed as it comes."""

    def _set_large_buffer(self) -> None:
        before: Any = self.buf
        self.buf: Any = FileBasedBuffer(Arriving(Path(tempfile.gettempdir())), before)
        self.overflowed = True
        if before is not None:
            before.close()


class RefusalError(Error):  # type: ignore[misc]
    """A refusal by the server itself, in the form of the site's own."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.reason = code, {401: "Unauthorized", 413: "Content Too Large"}[code]

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status, headers and body."""
        body = json.dumps({"error": self.body}, ensure_ascii=False).encode()
        return f"{self.code} {self.reason}", [("Content-Type", "application/json; charset=utf-8")], body


class Parser(HTTPRequestParser):
    """Notes when the request's first byte came, and refuses a large body where none is expected."""

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.arrived = time.time()
        self.completed: bool
        self._since_look = 0
        self._judged = False

    def parse_header(self, header_plus: bytes) -> None:
        """As waitress does; the body goes where this site keeps it."""
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            self.body_rcv.buf = Body(self.adj.inbuf_overflow)

    def received(self, data: bytes) -> int:
        """As waitress does; then the bound of the path, before the body is read."""
        took: int = super().received(data)
        if self.headers_finished and not self._judged:
            self._judged = True
            large = self.chunked or self.content_length > FORM_MB * 2**20
            with self._speaking():
                self._refuse(self._fault_of_large() if large and not self.completed else None)
        self._since_look += took
        if self._since_look > LOOK_BYTES:
            self._since_look = 0
            if shutil.disk_usage(tempfile.gettempdir()).free < SPARE_MB * 2**20:
                with self._speaking():
                    self._refuse(RefusalError(413, tr("the site's disk is nearly full: nothing is taken")))
        return took

    def _speaking(self) -> AbstractContextManager[None]:
        """The reader's language, by the browser's word."""
        return speaking(self.headers.get("ACCEPT_LANGUAGE", ""))

    def _fault_of_large(self) -> RefusalError | None:
        if not self.path.rstrip("/").endswith(UPLOADS):
            return RefusalError(413, tr("at most {most} MB are accepted at this address", most=FORM_MB))
        if not Channel.admits(self.headers):
            return RefusalError(401, tr("log in first: uploads are taken from people and workers of this site"))
        return None

    def _refuse(self, error: RefusalError | None) -> None:
        if error is not None:
            self.error, self.completed = error, True


class Task(WSGITask):
    """Hands the moment of the first byte to the application."""

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environment."""
        environment: dict[str, Any] = super().get_environment()
        environment[ARRIVED] = self.request.arrived
        return environment


class Channel(HTTPChannel):
    """A connection with the parser and task above; `admits` judges by its headers who may send a large body."""

    parser_class = Parser
    task_class = Task
    admits: Callable[[Mapping[str, str]], bool] = staticmethod(lambda headers: True)

    def handle_close(self) -> None:
        """The connection ends; so does the file of a body that has not arrived whole."""
        if self.request is not None:
            self.request.close()
        super().handle_close()


def make(
    application: Any,
    host: str,
    port: int,
    folder: Path,
    max_upload_mb: int,
    proxy: str = "",
    admits: Callable[[Mapping[str, str]], bool] = lambda headers: True,
) -> Any:
    """A server that listens; call its `run`.

    Args:
        folder: where bodies wait while they arrive; on the disk of the uploads.
        proxy: address of a proxy whose X-Forwarded headers are believed, or "".
        admits: whether who sends these headers may send a large body.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(folder)
    trusted = {"trusted_proxy": proxy, "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
               "trusted_proxy_count": 1} if proxy else {}  # fmt: skip
    waitress.server.BaseWSGIServer.channel_class = Channel
    Channel.admits = staticmethod(admits)
    return waitress.server.create_server(
        application,
        host=host,
        port=port,
        threads=THREADS,
        connection_limit=_room_for(CONNECTIONS),
        asyncore_use_poll=True,  # select() knows 1,024 files
        channel_timeout=120,
        recv_bytes=PIECE_BYTES,
        max_request_header_size=HEADER_BYTES,
        max_request_body_size=max_upload_mb * 2**20,
        inbuf_overflow=2**18,
        clear_untrusted_proxy_headers=True,
        ident=None,
        **trusted,
    )


def _room_for(connections: int) -> int:
    """As many connections as the system lets this process open files for, with some left for its own."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wished = 2 * connections + 200  # a body that arrives has a file too
    most = wished if hard == resource.RLIM_INFINITY else min(wished, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return connections if soft >= wished or soft == resource.RLIM_INFINITY else max(50, (soft - 200) // 2)
