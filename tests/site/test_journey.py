"""A contest from its making to its restored backup: a real server, a real worker, real submissions in their box."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from a_site import PASSWORD, body, close, ended, make_contest, person, token, told, upload
from django.test import Client

from flyai_local.__main__ import main
from flyai_local.box import bubblewrap
from flyai_local.errors import UserError
from flyai_local.remote.site import Site
from flyai_site import backup, standings
from flyai_site.models import Contest, Run, Score, Submission
from flyai_site.worker.answers import judge
from flyai_site.worker.data import Data

pytest_plugins = ["a_site"]
ROOT = Path(__file__).parents[2]
GOOD = ROOT / "tests" / "submissions" / "good"
needs_isolation = pytest.mark.skipif(bubblewrap.program() is None, reason="bubblewrap is absent or does not work here")


class Host:
    """`python -m flyai_local host` as a process, in a folder of its own."""

    def __init__(self, folder: Path, *options: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**os.environ, "FLYAI_LOCAL_HOME": str(folder), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "flyai_local", "host", "--port", str(self.port), "--lease", "4", *options]
        self.process = subprocess.Popen(
            command, env=self.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.said: list[str] = []
        for line in self.process.stdout:
            self.said.append(line)
            if "is up" in line:
                break
        assert "is up" in self.said[-1], self.said

    @property
    def password(self) -> str:
        return re.search(r"password (\S+)", "".join(self.said))[1]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)


class Person:
    """A browser without scripts: forms are found on pages and sent as they stand."""

    def __init__(self, url: str):
        import http.cookiejar
        import urllib.request

        self.url = url
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(self, path: str) -> str:
        with self.opener.open(self.url + path, timeout=60) as response:
            return response.read().decode()

    def post(self, page: str, path: str, files: dict[str, Path] | None = None, **fields: str) -> str:
        import urllib.request

        fields["csrfmiddlewaretoken"] = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', self.get(page))[1]
        mark, parts = "----flyai", []
        for name, value in fields.items():
            parts.append(f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
        for name, file in (files or {}).items():
            head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="{file.name}"\r\n\r\n'
            parts.append(head.encode() + file.read_bytes() + b"\r\n")
        data = b"".join(parts) + f"--{mark}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}", "Referer": self.url + page}
        with self.opener.open(urllib.request.Request(self.url + path, data, headers), timeout=60) as response:
            return response.read().decode()


def packed(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(folder).as_posix())
    return target


@needs_isolation
def test_a_contest_from_nothing_to_the_same_board_elsewhere(tmp_path, pictures, monkeypatch, capsys):
    table, archive = pictures
    host = Host(tmp_path / "home")
    try:
        olga, ada = Person(host.url), Person(host.url)
        olga.post("/login", "/login", name="organiser", password=host.password)
        made = olga.post("/organise/new", "/organise/new", {"csv": table, "pictures": archive}, slug="class",
                         title="My class", hidden="0.5", image_column="image_path", label_column="label",
                         metric="accuracy", kind="code")  # fmt: skip
        assert "The contest is made" in made
        ada.post("/register", "/register", name="ada", password=PASSWORD)
        ada.post("/c/class", "/c/class/join", name="Ada")
        own = packed(GOOD / "nearest_mean", tmp_path / "own.zip")
        number = int(re.search(r"Submission (\d+)", ada.post("/c/class/submit", "/c/class/submit", {"file": own}))[1])
        monkeypatch.setenv("FLYAI_LOCAL_HOME", str(tmp_path / "ada"))
        monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
        assert main(["login", host.url, "--name", "ada"]) == 0
        assert main(["submit", str(GOOD / "single_module_2022"), "--wait", "--contest", "class"]) == 0
        shown = capsys.readouterr().out
        assert "isolated by bubblewrap" in shown and "accuracy: public" in shown and ", private 1" not in shown
        page = ada.get(f"/s/{number}")
        assert 'id="public"' in page and "train |" in page and 'id="private"' not in page
        assert main(["board", "--site"]) == 0 and "Ada" in capsys.readouterr().out
        assert main(["log", str(number), "--site", "--tail", "3"]) == 0
        assert "scored" in capsys.readouterr().out
        assert (tmp_path / "ada" / "site.json").stat().st_mode & 0o077 == 0
    finally:
        host.stop()


def spoiled(tmp_path: Path, name: str, line: str) -> Path:
    """nearest_mean with a line at the top of main.py."""
    folder = shutil.copytree(GOOD / "nearest_mean", tmp_path / name)
    (folder / "main.py").write_text(line + "\n" + (folder / "main.py").read_text(encoding="utf-8"), encoding="utf-8")
    return packed(folder, tmp_path / f"{name}.zip")


PEEK = """
import os, sys
for folder in {folders!r}:
    try:
        print("SEEN", folder, os.listdir(folder))
    except OSError as error:
        print("shut", type(error).__name__)
print("token", any("fw_" in value or "TOKEN" in name for name, value in os.environ.items()))
import urllib.request
try:
    print("SEEN", urllib.request.urlopen({url!r}, timeout=3).read()[:20])
except OSError as error:
    print("shut", type(error).__name__)
sys.exit(3)
"""


@needs_isolation
def test_a_submission_sees_neither_database_nor_hidden_data_nor_the_site(tmp_path, pictures, monkeypatch, capsys):
    host = Host(tmp_path / "home", "--workers", "0")
    worker = None
    try:
        olga = Person(host.url)
        olga.post("/login", "/login", name="organiser", password=host.password)
        olga.post("/organise/new", "/organise/new", dict(zip(("csv", "pictures"), pictures, strict=True)), slug="class",
                  hidden="0.5", image_column="image_path", label_column="label", metric="accuracy")  # fmt: skip
        word = re.search(r"fw_[\w-]+", olga.post("/organise/workers", "/organise/workers", name="gpu"))[0]
        olga.post("/c/class", "/c/class/join", name="O")
        mine = re.search(r"fp_[\w-]+", olga.post("/me", "/me", label="x"))[0]
        site = Site(host.url, mine)
        folders = [str(tmp_path / "home"), str(tmp_path / "w"), str(tmp_path)]
        file = spoiled(tmp_path, "peek", PEEK.format(folders=folders, url=host.url))
        number = site.send("/api/c/class/submissions", file)["id"]
        environment = {**host.environment, "FLYAI_LOCAL_HOME": str(tmp_path / "w"), "FLYAI_SITE_TOKEN": word}
        (tmp_path / "w").mkdir()
        command = [sys.executable, "-m", "flyai_local", "worker", "--site", host.url, "--once"]
        worker = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert worker.returncode == 0, worker.stderr
        text = site.ask("GET", f"/api/s/{number}/log?from=0")["text"]
        state = site.ask("GET", f"/api/s/{number}")
        assert text.count("train | shut") == 4 and "SEEN" not in text and "token False" in text, text
        assert state["state"] == "failed" and state["causes"]["zh"]
        assert not list((tmp_path / "w" / "runs").iterdir()) and not list((tmp_path / "w").glob("run-*.zip"))
    finally:
        host.stop()


def answers_csv(public: bytes, contest, right: float) -> str:
    """A CSV of predictions of which the given share is right, from what participants may see, and the truth."""
    from flyai_site.storage import blob

    truth = zipfile.ZipFile(io.BytesIO(blob(contest.data_sha256).read_bytes()))
    labels = {row["image_path"]: row["label"] for row in csv.DictReader(io.StringIO(truth.read("hidden.csv").decode()))}
    numbers = list(csv.DictReader(io.StringIO(truth.read("numbers.csv").decode())))
    rows = [(row["id"], labels[row["picture"]] if at < right * len(numbers) else "9") for at, row in enumerate(numbers)]
    return "id,label\n" + "".join(f"{name},{label}\n" for name, label in rows)


@pytest.fixture
def quiz(organiser, pictures, tmp_path):
    """A contest of answers and its data as a worker has them."""
    from flyai_local.contest.competitions import Competition
    from flyai_local.submission.unpack import unpack
    from flyai_site.storage import blob

    contest = make_contest(organiser, pictures, "quiz", "answers")
    folder = tmp_path / "data"
    unpack(blob(contest.data_sha256), folder)
    card = Competition("quiz", "image_path", "label", "accuracy", folder / "train.csv", folder / "train",
                       folder / "hidden.csv", folder / "hidden", False)  # fmt: skip
    with (folder / "numbers.csv").open(newline="") as file:
        return contest, Data(card, {row["id"]: row["picture"] for row in csv.DictReader(file)})


def test_answers_are_scored_without_running_code(quiz, tmp_path):
    contest, data = quiz
    for share, total in ((1.0, 100.0), (0.5, 50.0), (0.0, 0.0)):
        file = tmp_path / "a.csv"
        file.write_text(answers_csv(b"", contest, share), encoding="utf-8-sig")
        found = judge(file, data)
        assert found.total == total and found.rows == contest.hidden_rows
        assert found.public is not None and found.private is not None


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda text: text.replace("id,label", "name,label"), "no-label-key"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "wrong-count"),
        (lambda text: text + text.splitlines()[1] + "\n", "wrong-count"),
        (lambda text: text + "zzz.png,1\n", "wrong-count"),
        (lambda text: text + "a,b,c\n", "wrong-count"),
        (lambda text: "", "no-label-key"),
        (lambda text: "\udcff\udcfe", "wrong-count"),
        (lambda text: 'id,label\n"' + "x" * 200000, "wrong-count"),
    ],
)
def test_a_table_that_is_none_fails_with_its_cause(quiz, tmp_path, spoil, code):
    from flyai_local.run.diagnose import RunError

    contest, data = quiz
    file = tmp_path / "a.csv"
    file.write_bytes(spoil(answers_csv(b"", contest, 1.0)).encode("utf-8", "surrogateescape"))
    with pytest.raises(RunError) as caught:
        judge(file, data)
    assert caught.value.code.value == code


def test_a_worker_without_isolation_gets_answers_only(contest, quiz):
    from a_site import worker

    ada = person("ada", contest)
    upload(ada.user, contest)
    machine = worker()
    assert Client().post("/api/worker/claim", b"{}", "application/json", **machine).status_code == 204
    person("ada", quiz[0])
    run = upload(ada.user, quiz[0], b"table")
    assert told(Client().post("/api/worker/claim", b"{}", "application/json", **machine))["run"] == run.pk


def test_a_site_that_would_run_code_unisolated_does_not_start(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bubblewrap, "program", lambda: None)
    assert main(["host", "--folder", str(tmp_path / "new")]) == 1
    assert "bubblewrap" in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_a_backup_restored_elsewhere_shows_the_same_board(contest, site, tmp_path, settings_of):
    for name, public in (("ada", 70.0), ("bob", 80.0)):
        run = ended(upload(person(name, contest).user, contest), public, public - 1)
    close(contest, revealed=True)
    before = standings.standings(contest)
    sentence = backup.save(site, tmp_path / "copy.zip")
    assert "secrets" in sentence and (tmp_path / "copy.zip").stat().st_mode & 0o077 == 0
    with pytest.raises(UserError, match="already"):
        backup.save(site, tmp_path / "copy.zip")
    with pytest.raises(UserError, match="already"):
        backup.restore(site, tmp_path / "copy.zip")
    from dataclasses import replace

    elsewhere = replace(site, folder=tmp_path / "elsewhere")
    backup.restore(elsewhere, tmp_path / "copy.zip")
    Submission.objects.filter(pk=run.submission_id).update(label="after the backup")
    shutil.rmtree(site.folder / "blobs")
    settings_of(tmp_path / "elsewhere")
    assert standings.standings(Contest.objects.get()) == before
    assert Submission.objects.get(pk=run.submission_id).label == ""
    assert body(Client().get("/c/class/data.zip")) and Score.objects.count() == 2
    (tmp_path / "no.zip").write_bytes(b"no zip")
    for wrong in ("no.zip", "missing.zip"):
        with pytest.raises(UserError, match="cannot be read"):
            backup.restore(replace(site, folder=tmp_path / "third"), tmp_path / wrong)


def test_the_board_can_be_exported_from_the_command_line(contest, tmp_path):
    ended(upload(person("ada", contest).user, contest), 70.0, 61.7)
    backup.export("class", tmp_path / "board.csv")
    text = (tmp_path / "board.csv").read_text(encoding="utf-8-sig")
    assert "ada,70.0" in text and "61.7" not in text and "private" not in text
    close(contest, revealed=True)
    backup.export("class", tmp_path / "board.csv")
    assert "61.7" in (tmp_path / "board.csv").read_text(encoding="utf-8-sig")


def test_a_forgotten_password_is_set_anew_by_the_host_alone(site):
    from flyai_site.start import new_password

    ada = person("ada")
    word = re.search(r"is (\S+) ", new_password("ada"))[1]
    assert ada.get("/me").status_code == 302  # the former session has ended
    assert Client().post("/login", {"name": "ada", "password": word})["Location"] == "/"
    with pytest.raises(UserError, match="nobody"):
        new_password("eve")


def test_what_the_organiser_does_is_in_the_audit(contest):
    run = ended(upload(person("ada", contest).user, contest))
    olga = person("olga")
    olga.post(f"/organise/{contest.slug}/r/{run.pk}/again")
    again = Run.objects.latest("pk")
    assert again.pk != run.pk and again.priority < 0
    olga.post(f"/organise/{contest.slug}/r/{again.pk}/first")
    olga.post(f"/organise/{contest.slug}/r/{again.pk}/cancel")
    text = body(olga.get(f"/organise/{contest.slug}/audit"))
    assert all(f"run-{deed}" in text for deed in ("again", "first", "cancel")) and "contest-created" in text
    assert Run.objects.get(pk=again.pk).state == "cancelled"
    assert olga.post(f"/organise/{contest.slug}/r/{again.pk}/cancel").status_code == 409


def test_an_upload_by_page_and_by_program_tells_its_place(contest):
    ada, bob = person("ada", contest), person("bob", contest)
    file = io.BytesIO(b"zip")
    file.name = "x.zip"
    page = ada.post(f"/c/{contest.slug}/submit", {"file": file}, follow=True)
    assert "0 runs are before it" in body(page) and "No worker" in body(page)
    given = told(bob.generic("POST", f"/api/c/{contest.slug}/submissions", b"other", **token(bob.user)))
    assert given["ahead"] == 1 and given["state"] == "queued" and given["starts_in_seconds"] is None
    assert json.dumps(given)


def test_a_site_answers_programs_in_sentences(tmp_path, capsys, monkeypatch):
    for url, word in (("ftp://x", "address"), ("http://127.0.0.1:9", "does not answer"), ("nonsense", "address")):
        assert main(["login", url, "--token", "t"]) == 1 and word in capsys.readouterr().err
    assert main(["board", "--site"]) == 1 and "login" in capsys.readouterr().err
    assert main(["submit", str(tmp_path / "none")]) == 1
    monkeypatch.delenv("FLYAI_SITE_TOKEN", raising=False)
    assert main(["worker", "--site", "http://127.0.0.1:9"]) == 1 and "--token" in capsys.readouterr().err
    assert time.time() > 0
