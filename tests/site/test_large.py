"""Uploads that are larger than what a server keeps in memory, through the server itself: kept without a copy."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import a_site  # noqa: F401 - sets Django up
import pytest
from a_host import LONG, ROOT, Person, until
from a_site import PASSWORD, close, person, token
from django.core.wsgi import get_wsgi_application
from django.db import connections

from flyai_site import doors, server, storage
from flyai_site.models import Submission

pytest_plugins = ["a_site"]
SIZE = 3 * 2**19


@pytest.fixture
def port(contest, monkeypatch):
    """The site behind its own web server."""
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    application = get_wsgi_application()

    def closing(*given):  # its threads end with the test, so their connections must
        try:
            yield from application(*given)
        finally:
            connections.close_all()

    running = server.make(closing, "127.0.0.1", 0, storage.folder("incoming"), 8, admits=doors.is_known)
    running.adj.asyncore_loop_timeout = 0.05

    def serve():
        with contextlib.suppress(OSError):  # its sockets are closed below it at the end
            running.run()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield running.effective_port
    running.close()
    thread.join(LONG)


def sent(port, contest, headers, content, chunked=False, **more):
    """The status of an upload."""
    length = b"Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(content)}".encode()
    head = f"POST /api/c/{contest.slug}/submissions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Authorization: {headers['HTTP_AUTHORIZATION']}\r\n"
    head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in more.items())
    body = f"{len(content):x}\r\n".encode() + content + b"\r\n0\r\n\r\n" if chunked else content
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        connection.sendall(head.encode() + length + b"\r\n\r\n" + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer[9:12])


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_becomes_the_upload_by_a_change_of_name(contest, port, monkeypatch, chunked):
    monkeypatch.setattr(storage, "arrive", None)  # what would write it once more
    ada, content = person("ada", contest), os.urandom(SIZE)
    assert sent(port, contest, token(ada.user), content, chunked) == 201
    kept = Submission.objects.get()
    assert kept.sha256 == hashlib.sha256(content).hexdigest() and kept.size_bytes == SIZE
    assert storage.blob(kept.sha256).read_bytes() == content
    until(lambda: not list(storage.folder("incoming").iterdir()))


def test_a_large_body_that_is_refused_leaves_nothing(contest, port):
    ada, content = person("ada", contest), os.urandom(SIZE)
    assert sent(port, contest, token(ada.user), content, X_SHA256="0" * 64) == 409
    contest.max_mb = 1
    contest.save()
    assert sent(port, contest, token(ada.user), content) == sent(port, contest, token(ada.user), content, True) == 413
    close(contest)
    assert sent(port, contest, token(ada.user), content) == 409
    until(lambda: not list(storage.folder("incoming").iterdir()))
    assert not Submission.objects.exists() and not storage.blob(hashlib.sha256(content).hexdigest()).exists()


def test_a_large_file_of_a_form_arrives_whole(contest, port, tmp_path):
    person("ada", contest)
    file = tmp_path / "own.zip"
    file.write_bytes(os.urandom(SIZE))
    browser = Person(f"http://127.0.0.1:{port}")
    browser.post("/login", "/login", name="ada", password=PASSWORD)
    page = f"/c/{contest.slug}/submit"
    assert "in the queue" in browser.post(page, page, {"file": file})
    assert storage.blob(Submission.objects.get().sha256).read_bytes() == file.read_bytes()
    until(lambda: not list(storage.folder("incoming").iterdir()))


def test_what_a_killed_server_left_is_swept_and_what_arrives_is_not(site):
    code = (
        "import sys, time; from pathlib import Path; from flyai_site.storage import Arriving\n"
        "file = Arriving(Path(sys.argv[1])); file.write(b'half'); file.flush(); print(file.path, flush=True); "
        "time.sleep(600)"
    )
    words = [sys.executable, "-c", code, str(storage.folder("incoming"))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as other:
        theirs = Path(other.stdout.readline().strip())
        mine = storage.Incoming(100)
        for path in (theirs, mine.path()):
            os.utime(path, (time.time() - 2 * storage.JOINING_SECONDS,) * 2)
        (storage.folder("incoming") / "being-made").write_text("a contest's data")
        (storage.folder("incoming") / "old").write_text("of a contest that was never made")
        os.utime(storage.folder("incoming") / "old", (time.time() - 2 * storage.HALF_A_DAY,) * 2)
        storage.sweep()
        left = {file.name for file in storage.folder("incoming").iterdir()}
        assert left == {theirs.name, mine.path().name, "being-made"}
        other.kill()
    storage.sweep()
    assert not theirs.exists() and mine.path().exists()
    mine.drop()
