"""A contest from its making to its restored backup: a real server, a real worker, real submissions in their box."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from a_host import GOOD, LONG, ROOT, Host, Person, packed
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
needs_isolation = pytest.mark.skipif(bubblewrap.program() is None, reason="bubblewrap is absent or does not work here")


def sent(person: Person, file: Path) -> int:
    """The number of a submission that a person uploads by the page."""
    return int(re.search(r"Submission (\d+)", person.post("/c/class/submit", "/c/class/submit", {"file": file}))[1])


MAIN_1X = """
import argparse
import numpy
from flyai.dataset import Dataset
from model import Model
from path import MODEL_PATH

parser = argparse.ArgumentParser()
parser.add_argument("-e", "--EPOCHS", default=10, type=int)
parser.add_argument("-b", "--BATCH", default=32, type=int)
args = parser.parse_args()
dataset = Dataset(epochs=args.EPOCHS, batch=args.BATCH)
seen = [dataset.next_train_batch() for _ in range(dataset.get_step())]
x, y = (numpy.concatenate(part) for part in zip(*seen))
Model(dataset).save_model([x[y == label].mean(0) for label in range(y.max() + 1)], MODEL_PATH, overwrite=True)
"""
MODEL_1X = """
import os, pickle
import numpy
from flyai.model.base import Base
from path import MODEL_PATH


class Model(Base):
    def __init__(self, data):
        self.data = data

    def predict(self, **data):
        means = pickle.load(open(os.path.join(MODEL_PATH, "model.pkl"), "rb"))
        x = self.data.predict_data(**data)
        return self.data.to_categorys(-numpy.array([[((one - mean) ** 2).sum() for mean in means] for one in x]))[0]

    def predict_all(self, datas):
        return [{"label": self.predict(**data)} for data in datas]

    def save_model(self, network, path, name="model.pkl", overwrite=False):
        self.check(path, overwrite)
        pickle.dump(network, open(os.path.join(path, name), "wb"))
"""


def of_1x(folder: Path) -> Path:
    """The project of platform 1.x with the class nearest by mean: Dataset, processor, Base; no network."""
    shutil.copytree(GOOD / "dataset_1x", folder, ignore=shutil.ignore_patterns("__pycache__", "net.py"))
    (folder / "main.py").write_text(MAIN_1X)
    (folder / "model.py").write_text(MODEL_1X)
    (folder / "requirements.txt").write_text("numpy\n")
    return folder


def bomb_of(archive: Path) -> Path:
    """The archive with a thousand names that lead to the same 32 MB of nothing."""
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("0.bin", bytes(2**25))
        for at in range(1, 1000):
            twin = copy.copy(opened.filelist[-1])
            twin.filename = f"{at}.bin"
            opened.filelist.append(twin)
    return archive


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
        olga.post("/organise/class", "/organise/class/settings", per_day="9")
        ada.post("/register", "/register", name="ada", password=PASSWORD)
        ada.post("/c/class", "/c/class/join", name="Ada")
        number = sent(ada, packed(GOOD / "nearest_mean", tmp_path / "own.zip"))
        old = of_1x(tmp_path / "1x")
        older = sent(ada, packed(old, tmp_path / "1x.zip"))
        bomb = bomb_of(packed(GOOD / "nearest_mean", tmp_path / "bomb.zip"))
        by_page = sent(ada, bomb)
        monkeypatch.setenv("FLYAI_LOCAL_HOME", str(tmp_path / "ada"))
        monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
        assert main(["login", host.url, "--name", "ada"]) == 0
        for folder in (GOOD / "single_module_2022", old):
            assert main(["submit", str(folder), "--wait", "--contest", "class", "--note", "第一"]) == 0
            shown = capsys.readouterr().out
            assert "isolated by bubblewrap" in shown and "accuracy: public" in shown and ", private 1" not in shown
        assert main(["submit", str(bomb), "--wait"]) == 1 and "archive-too-large" in capsys.readouterr().out
        assert "archive-too-large" in ada.get(f"/s/{by_page}")
        assert 'id="public"' in ada.get(f"/s/{older}") and "第一" in ada.get("/c/class/mine")
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
        worker = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=LONG)
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
