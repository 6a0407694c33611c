"""The web server itself, over a socket: the first byte's time, bodies bounded before they are read, memory flat."""

from __future__ import annotations

import contextlib
import resource
import shutil
import socket
import tempfile
import threading
import time

import a_site  # noqa: F401 - sets Django up
import pytest

from flyai_site import server
from flyai_site.arrival import ARRIVED

pytest_plugins = ["a_site"]
UPLOAD = b"POST /api/c/x/submissions HTTP/1.1\r\nHost: h\r\n"


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A server whose application notes what it got; returns (port, notes)."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    notes = []

    def application(environ, start_response):
        stream, size = environ["wsgi.input"], 0
        while piece := stream.read(2**16):
            size += len(piece)
        notes.append((environ[ARRIVED], size, environ["REMOTE_ADDR"]))
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    running = server.make(application, "127.0.0.1", 0, tmp_path / "incoming", max_upload_mb=64)

    def serve():
        with contextlib.suppress(OSError):  # its sockets are closed below it at the end
            running.run()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield running.effective_port, notes
    running.close()
    thread.join(5)


def ask(port, *pieces, pause=0.0):
    """The status of an answer to what is sent piece by piece."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:
                break  # refused already
            time.sleep(pause)
        try:
            return int(connection.recv(65536)[9:12])
        except ConnectionResetError:
            return 413  # the answer was lost on the way: the server closed before all was read


def test_the_time_is_that_of_the_first_byte(web):
    port, notes = web
    began = time.time()
    assert ask(port, UPLOAD[:1], UPLOAD[1:] + b"Content-Length: 4\r\n\r\n", b"ab", b"cd", pause=0.4) == 200
    arrived, size, _ = notes[0]
    assert size == 4 and began - 0.1 <= arrived <= began + 0.35 < time.time() - 0.7


def test_a_body_beyond_the_limit_is_refused_by_its_header(web):
    port, notes = web
    assert ask(port, UPLOAD + b"Content-Length: 10737418240\r\n\r\n") == 413 and not notes


def test_a_body_without_length_is_cut_at_the_limit(web):
    port, notes = web
    piece = b"100000\r\n" + bytes(2**20) + b"\r\n"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert ask(port, UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n", *[piece] * 80) == 413 and not notes
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024  # kB


@pytest.mark.parametrize("path", [b"/login", b"/api/login", b"/c/x/join", b"/api/c/x/submissionsx"])
def test_only_uploads_may_be_large(web, path):
    port, notes = web
    head = b"POST " + path + b" HTTP/1.1\r\nHost: h\r\n"
    assert ask(port, head + b"Content-Length: 5000000\r\n\r\n") == 413
    assert ask(port, head + b"Transfer-Encoding: chunked\r\n\r\n") == 413 and not notes
    assert ask(port, head + b"Content-Length: 3\r\n\r\nabc") == 200


def test_a_disk_that_is_nearly_full_takes_nothing(web, monkeypatch):
    port, notes = web
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
    size = 8 * 2**20
    assert ask(port, UPLOAD + f"Content-Length: {size}\r\n\r\n".encode(), bytes(size)) == 413 and not notes


def test_nobody_forges_an_address_without_a_proxy(web):
    port, notes = web
    assert ask(port, UPLOAD + b"X-Forwarded-For: 6.6.6.6\r\nContent-Length: 1\r\n\r\nx") == 200
    assert notes[0][2] == "127.0.0.1"
