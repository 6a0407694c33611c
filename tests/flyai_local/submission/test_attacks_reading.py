"""Attacks on the platform's own reading: cards, sources, pipes and names that cost time, or that end or forge a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from lab import prediction

from flyai_local.__main__ import main
from flyai_local.board import records
from flyai_local.box import isolate
from flyai_local.box.environment import INSTALL_ALLOWED
from flyai_local.contest.register import add
from flyai_local.errors import UserError
from flyai_local.listing import aligned
from flyai_local.run import closer, place, requirements, workplace
from flyai_local.run.diagnose import RunError
from flyai_local.run.hidden import own_folder
from flyai_local.run.job import Job, Result
from flyai_local.run.progress import Progress, failure
from flyai_local.run.runner import execute
from flyai_local.states import Code, State
from flyai_local.submission import apart, appcard
from flyai_local.submission.pack import select
from flyai_local.submission.reading import small
from flyai_local.submission.refusals import SECRETS
from flyai_local.submission.submission import read
from flyai_local.submission.unpack import ArchiveError
from flyai_local.terminal import shown

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the attacks are written for POSIX systems")
QUICK = 5.0  # seconds; without its bound, each of these texts takes minutes or for ever


def quick(work, *given):
    """What `work` returns or raises of ours, within the time that an honest text takes many times over."""
    began = time.process_time()
    try:
        return work(*given)
    except UserError as error:
        return error
    finally:
        assert time.process_time() - began < QUICK


MERGES = "a0: &a0 {k: 1}\n" + "".join(
    f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]\n" for at in range(1, 12)) + "b:\n  <<: *a11\n"  # fmt: skip
CARDS = {
    "merge keys": MERGES,
    "inner merges": "a:\n  <<: [" + ", ".join("{<<: {b: 1}}" for _ in range(5000)) + "]\n",
    "a number to the base of 60": "a: 1" + ":59" * 60000,
    "a hexadecimal number": "a: 0x" + "f" * 200000,
    "a decimal number": "a: " + "9" * 200000,
    "a fraction to the base of 60": "a: 1" + ":59" * 60000 + ".5",
    "open brackets": "[" * 100000,
    "question marks": "? " * 50000,
    "dashes": "- " * 50000,
    "a long plain text": "a: " + "b " * 100000,
    "quotes": "a: '" + "''" * 100000,
    "a large card": "a: b\n" * 100000,
    "anchors": "".join(f"k{at}: &a{at} 1\n" for at in range(10000)),
    "tags": "a: !!timestamp 99999-99-99\n",
}


@pytest.mark.parametrize("card", list(CARDS.values()), ids=list(CARDS))
def test_a_card_is_read_in_bounded_time_or_refused(card):
    found = quick(appcard.parse, card)
    if isinstance(found, dict):
        quick(appcard.app_json, found)
    if "a: 0x" in card or "a: 9" in card or "a: 1:" in card:  # no number is made of it, whose text would have no bound
        assert isinstance(found["a"], str)


@pytest.mark.parametrize("card", list(CARDS.values())[:5], ids=list(CARDS)[:5])
def test_a_submission_with_such_a_card_is_read(tmp_path, card):
    for name, text in (("main.py", ""), ("prediction.py", ""), ("app.yaml", card)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert quick(read, tmp_path).ids == ()


@pytest.mark.parametrize(
    "code",
    ["a.download_from_ids(0x" + "f" * 9999 + ")", "x = " + "-" * 100000 + "1", "x = " + "(" * 100000,
     "x = " + "1+" * 50000 + "1", "x = " + "[" * 150 + "]" * 150, "x = f'" + "{" * 5000 + "'", "\0", "#" * 2**21,
     "if 1:\n" * 90 + "\n"],
    ids=["number", "signs", "brackets", "sum", "nested", "format", "nul", "large", "indent"],
)  # fmt: skip
def test_sources_that_no_parser_likes_cost_a_look_and_no_more(tmp_path, code):
    (tmp_path / "main.py").write_text(code, encoding="utf-8")
    (tmp_path / "prediction.py").write_text(code, encoding="utf-8")
    try:
        assert apart.read(tmp_path).ids == () == apart.ids(tmp_path)
    except ArchiveError as error:
        assert error.code is Code.BAD_FOLDER


def test_a_look_that_takes_too_long_is_the_submissions_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(apart, "SECONDS", 0.001)
    with pytest.raises(ArchiveError) as caught:
        apart.read(tmp_path)
    assert caught.value.code is Code.BAD_FOLDER and apart.ids(tmp_path) == ()


def test_reading_apart_finds_what_reading_finds():
    for name in ("dataset_1x", "mushroom_2_0", "single_module_2022"):
        good = Path(__file__).parents[2] / "submissions" / "good" / name
        assert apart.read(good) == read(good) and apart.ids(good) == read(good).ids


@pytest.mark.parametrize("text", ["a-" * 80000, "a:" * 40000, "://" * 30000, "a://b:" * 15000, "sk-" * 30000,
                                  "token='" * 12000, "xoxb-" * 16000, "-----BEGIN " + "A " * 40000])  # fmt: skip
def test_no_secret_pattern_is_slow(text):
    for _, pattern in SECRETS:
        quick(pattern.search, text)


def test_no_look_at_what_a_run_left_is_slow(tmp_path):
    """Twice as long would be four times as slow: 2 MB of empty lines held the platform for hours."""
    (tmp_path / "net.py").write_text("\n" * 80000, encoding="utf-8")
    (tmp_path / "requirements.txt").write_text("a" + " " * 80000 + "b\nnumpy [x] >= 1\ntorch ; python_version > '3'")
    (tmp_path / "train.log").write_text("http://" * 12000 + "\nhttps://host/a.pth\n", encoding="utf-8")
    assert quick(place.defines, tmp_path, "Net") is False
    assert [bool(line.skip) for line in quick(list, requirements.lines(tmp_path / "requirements.txt"))] == [1, 0, 0]
    assert quick(closer._wanted, place.last_lines(tmp_path / "train.log")) == ["a.pth"]
    (tmp_path / "net.py").write_text("if 1:\n\tasync  def Net (x): pass\n", encoding="utf-8")
    assert place.defines(tmp_path, "Net") is True


def test_pipes_and_links_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "notes.json")
    os.mkfifo(tmp_path / "app.yaml")
    os.mkfifo(tmp_path / "requirements.txt")
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "main.py").write_text("", encoding="utf-8")
    (tmp_path / "prediction.py").write_text("", encoding="utf-8")
    assert "notes.json" in select(tmp_path).left_out and "notes.json" not in select(tmp_path).files
    assert read(tmp_path).ids == () and list(requirements.lines(tmp_path / "requirements.txt")) == []
    for name in ("notes.json", "link", "main.py/x", "."):
        with pytest.raises(OSError):
            small(tmp_path / name, 100)
    with pytest.raises(OSError, match="larger"):
        small(Path(__file__), 100)


# Who is to blame


@pytest.fixture
def tiny(competition):
    return add("Tiny", competition / "train.csv", competition, hidden=1 / 3)


def run(tiny, folder: Path, train: str, predict: str = prediction()) -> Result:
    folder.mkdir(parents=True)
    (folder / "main.py").write_text(train, encoding="utf-8")
    (folder / "prediction.py").write_text(predict, encoding="utf-8")
    return execute(Job(folder, tiny, "train", isolated=False), Progress(quiet=True))


SHAPES = {
    "a pipe for the pictures": "os.mkfifo('data/input/image')",
    "a pipe for the data": "shutil.rmtree('data'); os.mkfifo('data')",
    "a link for the data": "shutil.rmtree('data'); os.symlink('/', 'data')",
    "a locked folder": "os.makedirs('data/input/image/image'); os.chmod('data/input', 0)",
    "folders too deep": "deep(1100)",
    "the project itself is gone": "shutil.rmtree(os.getcwd())",
    "a file in the place of a folder": "shutil.rmtree('data'); open('data', 'w').close()",
    "names, holes, sockets and times that are none": """
import socket
open('a\\nrun 9: scored', 'w').close()
open(b'\\xff\\x1b[2J', 'w').close()
os.truncate(os.open('hole', os.O_CREAT | os.O_WRONLY), 2**32)
socket.socket(socket.AF_UNIX).bind('s')
open('t', 'w').close()
os.utime('t', (2**62 // 10**9, -2**33))""",
}
DEEP = """
import os, shutil
def deep(levels):
    handle = os.open(".", os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("n" * 9, dir_fd=handle)
        handle, old = os.open("n" * 9, os.O_RDONLY, dir_fd=handle), handle
        os.close(old)
"""


@pytest.mark.parametrize("shape", list(SHAPES.values()), ids=list(SHAPES))
def test_a_submission_cannot_choose_to_be_a_crash(tiny, tmp_path, shape):
    result = run(tiny, tmp_path / "mine", DEEP + shape)
    assert result.state in (State.FAILED, State.SCORED), result.detail
    last = records.open().runs()[-1]
    assert last.state is result.state and last.counts
    assert (last.score is not None) == (last.state is State.SCORED)
    assert not (result.folder / "private").exists() and not (result.folder / "trained").exists()
    assert not list((result.folder / "project").glob("data/input/*/*/*.png"))


def test_a_crash_after_the_answers_has_no_score(tiny, tmp_path, monkeypatch):
    def broken(*given: object, **named: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(workplace.Workplace, "tidy", broken)
    result = run(tiny, tmp_path / "mine", "")
    last = records.open().runs()[-1]
    assert (result.state, result.score, last.state, last.score) == (State.CRASHED, None, State.CRASHED, None)


def test_what_the_machine_lacks_is_not_the_submissions_failure():
    from flyai_local.run.blame import blamed

    with pytest.raises(OSError, match="No space"), blamed():
        raise OSError(28, "No space left on device")
    with pytest.raises(RunError) as caught, blamed():
        raise OSError(36, "File name too long")
    assert caught.value.code is Code.BAD_FOLDER


def test_the_platforms_folders_make_way_for_nothing(tmp_path):
    os.mkfifo(tmp_path / "data")
    assert own_folder(tmp_path, "data", "input").is_dir()


# Lines that strangers write


NASTY = ["\u202e" * 90, "a\nscore 100", "a\r\x1b[2Kfake", "\u202eevil", "a\x9b2Jb", "a\u2028b", "\x07", "a" * 9999]


@pytest.mark.parametrize("text", NASTY)
def test_what_strangers_wrote_is_one_harmless_line(text, capsys):
    line = shown(text, 100)
    assert line.isprintable() and len(line) <= 100  # with its escapes: else 100 marks carry ten times as much
    Progress().step(f"note: {text}")
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and printed[:-1].isprintable()
    told = failure(Code.PREDICT_FAILED, text, [text], text)
    assert all(part.isprintable() for part in told.split("\n")) and len(told.split("\n")) == 5
    assert aligned([[text, "x"]]).isprintable()


def test_a_forged_class_name_and_exception_stay_on_their_lines(tiny, tmp_path, capsys):
    forged = '\\n{\\"score\\": 100, \\"label\\": \\"The Score is Total ACC\\", \\"info\\": \\"\\"}\\n\\x1b[2J'
    attack = f"""
import __main__
from flyai.framework import FlyAI
tell = __main__.Dialogue.tell
def greet(self, **message):
    if message["event"] == "ready":
        message.update(chosen="{forged}", candidates=["{forged}"] * 3)
    tell(self, **message)
__main__.Dialogue.tell = greet
class Prediction(FlyAI):
    def predict(self, image_path):
        raise ValueError("{forged}")
"""
    folder = tmp_path / "bad\x1b[2J\nname"
    folder.mkdir()
    (folder / "main.py").write_text("", encoding="utf-8")
    (folder / "prediction.py").write_text(attack, encoding="utf-8")
    (folder / "app.yaml").write_text('competition: {metric: "\\e[2Jx\\nforged"}\n', encoding="utf-8")
    assert main(["train", "--submission", str(folder), "--competition", "Tiny", "--no-isolation"]) == 1
    main(["board", "--competition", "Tiny"])
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert not any(line.startswith('{"score": 100') for line in printed.out.splitlines())


# Standard output that goes away


@pytest.mark.parametrize(
    ("redirect", "ok"),
    [("| head -1 >/dev/null", False), (">/dev/full", True), ("<&- >&- 2>&-", True)],
    ids=["a short reader of a failed run", "a full disk", "all closed"],
)
def test_a_reader_that_goes_ends_nothing_and_hides_nothing(tiny, tmp_path, redirect, ok):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "main.py").write_text("" if ok else "raise SystemExit(3)", encoding="utf-8")
    (folder / "prediction.py").write_text(prediction(), encoding="utf-8")
    line = f"{sys.executable} -m flyai_local train --submission {folder} --competition Tiny --no-isolation {redirect}"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=ROOT, capture_output=True, text=True)
    last = records.open().runs()[-1]
    assert last.state is (State.SCORED if ok else State.FAILED)
    assert ended.returncode == (0 if ok else 1)
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_list_on_a_full_disk_says_so_and_fails(tmp_path):
    line = f"{sys.executable} -m flyai_local competitions >/dev/full"
    ended = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr and "error:" in ended.stderr


# Installing


def test_no_strangers_code_runs_with_the_network_or_the_index_in_sight(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:password@index.invalid/simple")
    steps: list[tuple[bool, list[str], dict[str, str]]] = []

    def remember(box, command, limits, log):
        given = isolate.variables(box.layout(), box.mark, offline=False, install=box.network)
        steps.append((box.network, command, given))
        return isolate.Outcome(0, None, 0.0, 0.0, 0.0)

    monkeypatch.setattr(requirements, "run", remember)
    (tmp_path / "project").mkdir()
    text = "wheelonly==1\nnasty @ https://evil.invalid/x.tar.gz\n-e .\n./local\ngit+https://evil.invalid/x\n"
    (tmp_path / "project" / "requirements.txt").write_text(text, encoding="utf-8")
    chamber = isolate.Box(tmp_path / "project", tmp_path / "private", isolated=False)
    said: list[str] = []
    assert requirements.install(chamber, tmp_path / "environment", None, said.append) == []
    assert [network for network, _, _ in steps] == [False, True, False]
    for network, command, given in steps:
        assert network or not set(INSTALL_ALLOWED) & set(given)
        assert not network or (command[0] == sys.executable and command[1] == "-I" and ":all:" in command)
    assert sum("left out" in line for line in said) == 4
    assert json.dumps([command for _, command, _ in steps]).count("evil") == 0
