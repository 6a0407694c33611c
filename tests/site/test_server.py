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
from a_host import LONG, until

from flyai_site import server
from flyai_site.arrival import ARRIVED

pytest_plugins = ["a_site"]
UPLOAD = b"POST /api/c/x/submissions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer known\r\n"


def known(headers):
    return headers.get("AUTHORIZATION") == "Bearer known"


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A server whose application notes what it got; returns (port, notes)."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    notes = []

    def application(environ, start_response):
        stream, size = environ["wsgi.input"], 0
        while piece := stream.read(2**16):
            size += len(piece)
        seen = {name: value for name, value in environ.items() if name.startswith(("HTTP_", "wsgi.url"))}
        notes.append((environ[ARRIVED], size, environ["REMOTE_ADDR"], environ["REQUEST_METHOD"], seen))
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    running = server.make(application, "127.0.0.1", 0, tmp_path / "incoming", max_upload_mb=64, admits=known)

    running.adj.asyncore_loop_timeout = 0.05  # so that it ends at once

    def serve():
        with contextlib.suppress(OSError):  # its sockets are closed below it at the end
            running.run()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield running.effective_port, notes
    running.close()
    thread.join(LONG)


def ask(port, *pieces):
    """The status of an answer to what is sent piece by piece."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        return told(connection, *pieces)


def told(connection, *pieces):
    """The same on a connection that stands."""
    with contextlib.suppress(OSError):  # refused already
        for piece in pieces:
            connection.sendall(piece)
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while len(answer) < 12 and (piece := connection.recv(65536)):
            answer += piece
    return int(answer[9:12] or 413)  # none: it was lost on the way, since the server closed before all was read


class Clock:
    """The server's own: it stands until it is put on, and tells when it is looked at."""

    def __init__(self):
        self.now, self.seen = 1000.0, threading.Event()

    def time(self):
        self.seen.set()
        return self.now


def test_the_time_is_that_of_the_first_byte(web, monkeypatch):
    port, notes = web
    clock = Clock()
    monkeypatch.setattr(server, "time", clock)
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        connection.sendall(UPLOAD[:1])
        assert clock.seen.wait(LONG)  # by the request that began with this byte
        clock.now = 2000.0
        assert told(connection, UPLOAD[1:] + b"Content-Length: 4\r\n\r\n", b"ab", b"cd") == 200
    assert notes[0][:2] == (1000.0, 4)


def test_a_body_beyond_the_limit_is_refused_by_its_header(web):
    port, notes = web
    assert ask(port, UPLOAD + b"Content-Length: 10737418240\r\n\r\n") == 413 and not notes


def test_a_body_without_length_is_cut_at_the_limit(web):
    port, notes = web
    piece = b"100000\r\n" + bytes(2**20) + b"\r\n"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert ask(port, UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n", *[piece] * 80) == 413 and not notes
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024  # kB


def test_a_refusal_of_the_server_itself_is_in_the_reader_s_language(web):
    for header, words in ((b"zh-CN,zh;q=0.9", "请先登录"), (b"en", "log in first")):
        with socket.create_connection(("127.0.0.1", web[0]), timeout=LONG) as connection:
            head = UPLOAD.replace(b"Bearer known", b"Bearer other") + b"Accept-Language: " + header
            connection.sendall(head + b"\r\nContent-Length: 5000000\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert words in answer.decode()


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


@pytest.mark.parametrize("who", [b"", b"Authorization: Bearer other\r\n", b"Cookie: sessionid=known\r\n"])
@pytest.mark.parametrize("length", [b"Content-Length: 5000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_strangers_large_body_is_refused_by_its_headers(web, who, length):
    port, notes = web
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        connection.sendall(b"POST /api/c/x/submissions HTTP/1.1\r\nHost: h\r\n" + who + length)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 401 ") and b'{"error": "log in first' in answer and not notes


def test_a_class_that_keeps_its_connections_open_shuts_nobody_out(web):
    port, notes = web
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(700)]
    try:
        for connection in idle[::100]:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: h\r\nX: ")  # and never the rest
        assert ask(port, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") == 200 and len(notes) == 1
    finally:
        for connection in idle:
            connection.close()


def raw(port, text):
    """The statuses of all answers to a text that is sent at once."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


INNER = b"GET /inner HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD = b"POST /login HTTP/1.1\r\nHost: h\r\n"


@pytest.mark.parametrize(
    "text",
    [
        HEAD + b"Content-Length: 4\r\nContent-Length: 60\r\n\r\nabcd" + INNER,
        HEAD + b"Content-Length: +4\r\n\r\nabcd" + INNER,
        HEAD + b"Content-Length: 4_0\r\n\r\nabcd" + INNER,
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + INNER,
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + INNER,
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + INNER,
        HEAD + b"X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: -1\r\n\r\n" + INNER,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;\x00\r\nabc" + INNER,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + INNER,
        HEAD + b"Bad\x00Name: 1\r\nContent-Length: 4\r\n\r\nabcd" + INNER,
    ],
)
def test_a_request_that_two_servers_read_differently_is_read_by_none(web, text):
    port, notes = web
    statuses = raw(port, text)
    assert all(status >= 400 for status in statuses[:1]) and len(statuses) <= 1, statuses
    assert not [note for note in notes if note[3] == "GET"]


def test_a_length_beside_chunks_never_lets_a_second_request_through(web):
    port, notes = web
    raw(port, HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER)
    assert len(notes) <= 1


def test_names_with_underscores_and_the_servers_own_stand_for_nothing(web):
    port, notes = web
    forged = b"X_Forwarded_Proto: https\r\nX-Forwarded-Proto: https\r\nflyai.arrived: 0\r\nFlyai_Arrived: 0\r\n"
    assert ask(port, b"GET / HTTP/1.1\r\nHost: h\r\n" + forged + b"Connection: close\r\n\r\n") == 200
    seen = notes[0][4]
    assert seen["wsgi.url_scheme"] == "http" and not [name for name in seen if "FORWARDED" in name], seen
    assert notes[0][0] > time.time() - 60


def test_a_head_that_does_not_end_is_cut(web):
    port, notes = web
    assert ask(port, b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 40_000) == 431 and not notes


def test_an_upload_that_is_broken_off_leaves_nothing(web, tmp_path):
    port, notes = web
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(UPLOAD + b"Content-Length: 9000000\r\n\r\n" + bytes(6 * 2**20))
        until(lambda: list((tmp_path / "incoming").iterdir()))
    until(lambda: not list((tmp_path / "incoming").iterdir()))
    assert not notes
