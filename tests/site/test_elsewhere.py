"""A contest of answers over HTTP the whole way: on PostgreSQL, behind HTTPS, backed up and restored.

On SQLite where PostgreSQL is not installed. No code is run, so no isolation is needed.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import urllib.request
import zipfile
from pathlib import Path

import pytest
from a_host import Host, Person, add_leaves, until
from a_proxy import Proxy
from a_site import PASSWORD

from benchmarks.site_postgres import fresh_database
from flyai_local.__main__ import main

pytest_plugins = ["a_site"]


@pytest.fixture
def databases(server):
    """Two databases: of the site, and of the one that is restored."""
    return [fresh_database(server) for _ in range(2)] if server else ["", ""]


def truth(csv_file: Path) -> dict[bytes, str]:
    """Labels by the bytes of the picture, as only the organiser has them."""
    rows = csv.DictReader(io.StringIO(csv_file.read_text()))
    with zipfile.ZipFile(csv_file.with_name("pictures.zip")) as pictures:
        return {pictures.read(row["image_path"]): row["label"] for row in rows}


def answers(data: bytes, known: dict[bytes, str], *, right: bool) -> str:
    """A table of answers for what participants download: all right, or none (so that both parts tell them apart)."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [line.split(",")[0] for line in archive.read("sample_submission.csv").decode().split()[1:]]
        labels = [known[archive.read(f"test/{name}")] for name in names]
    given = labels if right else ["9"] * len(labels)
    return "id,label\n" + "".join(f"{name},{label}\n" for name, label in zip(names, given, strict=True))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl for a certificate")
def test_answers_from_the_command_line_to_the_same_board_elsewhere(tmp_path, pictures, databases, monkeypatch, capsys):
    table, home = pictures[0], tmp_path / "home"
    add_leaves(home, pictures, tmp_path, monkeypatch)
    url = ["--database", databases[0]] if databases[0] else []
    host = Host(home, "--contest", "leaves", "--kind", "answers", "--proxy", "127.0.0.1", "--hosts", "localhost", *url)
    proxy = Proxy(host.port, tmp_path / "tls")
    try:
        board = visit(host, proxy, truth(table), tmp_path, monkeypatch, capsys)
        saved = host.run("host", "backup", str(tmp_path / "copy.zip"), *url)
        assert saved.returncode == 0 and "secrets" in saved.stdout, saved.stderr
    finally:
        proxy.stop()
        host.stop()
    shutil.rmtree(home)
    new = ["--folder", str(tmp_path / "new")] + (["--database", databases[1]] if databases[1] else [])
    restored = host.run("host", "restore", str(tmp_path / "copy.zip"), *new)
    assert restored.returncode == 0, restored.stderr
    assert host.run("host", "restore", str(tmp_path / "copy.zip"), *new).returncode == 1  # a site lies there now
    again = Host(tmp_path / "again", "--no-worker", "--admin", *new)
    try:
        bob = Person(again.url)
        assert rows(bob.get("/c/leaves/board")) == board
        assert "Log out" in bob.post("/login", "/login", name="bob", password=PASSWORD)
        assert "/admin/auth/user/" not in bob.get("/admin/") and "administration" in bob.get("/admin/")
        olga = Person(again.url)
        olga.post("/login", "/login", name="organiser", password=host.password)
        assert "/admin/auth/user/" in olga.get("/admin/")
        assert "organiser: log in" not in "".join(again.said)  # there is one already
    finally:
        again.stop()


def rows(page: str) -> list[tuple[str, ...]]:
    """Name and figures of a board."""
    return re.findall(
        r'<td class="name">([^<]*)</td><td class="number">([^<]*)</td>(?:<td class="number">([^<]*)</td>)?', page
    )


def visit(host, proxy, known, tmp_path, monkeypatch, capsys):
    """The contest itself through the proxy; returns the board after the reveal."""
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))
    monkeypatch.setenv("FLYAI_LOCAL_HOME", str(tmp_path / "bobs"))
    olga, bob, eve = (Person(proxy.url, proxy.certificate) for _ in range(3))
    assert "Log out" in olga.post("/login", "/login", name="organiser", password=host.password)
    assert {cookie.name for cookie in olga.jar if cookie.secure} == {"sessionid", "csrftoken"}
    for person, name in ((bob, "bob"), (eve, "eve")):
        person.post("/register", "/register", name=name, password=PASSWORD)
        assert "You are in the contest" in person.post("/c/leaves", "/c/leaves/join", name=f"{name} 王")
    request = urllib.request.Request(f"{proxy.url}/c/leaves/data.zip")
    data = bob.opener.open(request).read()
    file = tmp_path / "bob.csv"
    file.write_text(answers(data, known, right=False))
    number = re.search(r"Submission (\d+)", bob.post("/c/leaves/submit", "/c/leaves/submit", {"file": file}))[1]
    until(lambda: 'class="good">scored' in bob.get(f"/s/{number}"))
    assert "nothing under this address" in eve.get(f"/s/{number}")
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    assert main(["login", proxy.url, "--name", "eve"]) == 0
    file.write_text(answers(data, known, right=True))
    assert main(["submit", str(file), "--wait"]) == 0 and "public 100" in capsys.readouterr().out
    assert main(["board", "--site"]) == 0 and "eve 王" in capsys.readouterr().out
    assert [row[0] for row in rows(bob.get("/c/leaves/board"))] == ["eve 王", "bob 王"]
    outside = Person(host.url)  # past the proxy, as a stranger on the same network
    outside.post("/login", "/login", name="bob", password=PASSWORD)
    assert "Log out" not in outside.get("/")  # the session's cookie goes over HTTPS only
    forged = urllib.request.Request(f"{proxy.url}/c/leaves/join", b"name=x", {"Origin": "https://evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        bob.opener.open(forged)
    return reveal(olga, bob)


def reveal(olga, bob):
    """Close and reveal by the organiser's page; returns the board."""
    past = "2026-01-01T00:00"
    olga.post(
        "/organise/leaves",
        "/organise/leaves/settings",
        opens="2025-01-01T00:00",
        closes=past,
        reveals="2099-01-01T00:00",
    )
    assert "Private</th>" not in bob.get("/c/leaves/board")
    olga.post("/organise/leaves", "/organise/leaves/reveal")
    board = rows(bob.get("/c/leaves/board"))
    assert board[0][2] == "100.00" and "audit" in olga.get("/organise/leaves")
    assert "contest-changed" in olga.get("/organise/leaves/audit")
    exported = olga.opener.open(f"{olga.url}/organise/leaves/export.csv").read().decode("utf-8-sig")
    assert exported.count("bob 王") == 1 and "100.0" in exported
    return board


def test_the_admin_is_on_this_machine_alone(tmp_path, capsys):
    for given in (["--address", "0.0.0.0"], ["--proxy", "127.0.0.1"], ["--address", "::"]):
        assert main(["host", "--admin", "--folder", str(tmp_path / "new"), *given]) == 1
        assert "SSH tunnel" in capsys.readouterr().err and not (tmp_path / "new").exists()
