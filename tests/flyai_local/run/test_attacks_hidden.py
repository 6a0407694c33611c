"""Attacks that would carry hidden pictures out of an evaluation: through what it writes, prints, or how it is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from lab import NEEDS_BUBBLEWRAP, prediction, running

from flyai_local.board import records
from flyai_local.box import space
from flyai_local.box.folders import copied, removed, use
from flyai_local.box.logs import Log
from flyai_local.box.processes import descendants
from flyai_local.contest.competitions import hidden_rows
from flyai_local.contest.register import add
from flyai_local.home import runs_folder
from flyai_local.run import workplace
from flyai_local.run.hidden import MOST_VISIBLE, visible_mb
from flyai_local.run.job import Job, Result
from flyai_local.run.leftovers import KEPT, finish_killed
from flyai_local.run.progress import Progress
from flyai_local.run.runner import execute
from flyai_local.states import Code, State

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the attacks are written for POSIX systems")
TRAIN = """
import os
os.makedirs("kept/below", exist_ok=True)
open("model.txt", "w").write("m")
"""
# `hidden` holds the bytes of a picture; whatever way it goes, nothing of it may be found after the run.
WAYS = {
    "beside what was there": """
        open("stolen", "wb").write(hidden)
        open(os.path.expanduser("~/stolen"), "wb").write(hidden)
        open(tempfile.mkdtemp() + "/stolen", "wb").write(hidden)
        for at in range(9):
            os.symlink(hidden.hex()[:200], f"kept/{at}")
        os.link(image_path, "kept/hard")
        os.mkfifo("pipe")
        open("sparse", "wb").truncate(2**30)
        os.mkdir("locked")
        open("locked/stolen", "wb").write(hidden)
        os.chmod("locked", 0)
        deep(hidden)""",
    "in what was there": """
        open("model.txt", "ab").write(hidden)
        os.utime("model.txt", (1, 1))
        os.chmod("model.txt", 0o751)
        os.utime("kept", (7, 7))
        os.chmod("kept/below", 0o711)
        setxattr("kept", hidden)
        setxattr("model.txt", hidden)""",
    "in its place": """
        os.rename(image_path, "model.txt")
        os.rmdir("kept/below")
        open("kept/below", "wb").write(hidden)""",
    "instead of it": """
        os.remove("model.txt")
        os.symlink(hidden.hex()[:200], "model.txt")
        os.rename("kept", "kept2")""",
}
PREDICT = """
import os, tempfile
from flyai.framework import FlyAI

def setxattr(path, value):
    try:
        os.setxattr(path, "user.stolen", value[:1000])
    except OSError:      # this file system has none
        pass

def deep(value):
    handle = os.open(".", os.O_RDONLY)
    for _ in range(300):
        os.mkdir("n" * 100, dir_fd=handle)
        handle, old = os.open("n" * 100, os.O_RDONLY, dir_fd=handle), handle
        os.close(old)
    os.write(os.open("stolen", os.O_WRONLY | os.O_CREAT, dir_fd=handle), value)

class Prediction(FlyAI):
    done = False
    def predict(self, image_path):
        hidden = open(image_path, "rb").read()
        if not Prediction.done:
            Prediction.done = True
            self.steal(image_path, hidden)
        return {{"label": 0}}
    def steal(self, image_path, hidden):{way}
"""


@pytest.fixture
def tiny(competition):
    return add("Tiny", competition / "train.csv", competition, hidden=1 / 3)


def submission(folder: Path, predict: str, train: str = TRAIN) -> Path:
    folder.mkdir(parents=True)
    (folder / "main.py").write_text(train, encoding="utf-8")
    (folder / "prediction.py").write_text(predict, encoding="utf-8")
    return folder


def run(tiny, folder: Path, isolated: bool | None) -> Result:
    return execute(Job(folder, tiny, "train", isolated=isolated), Progress(quiet=True))


def state_of(folder: Path) -> dict[str, object]:
    """Everything that a participant can learn of a folder, times included."""
    found: dict[str, object] = {}
    for top, folders, files in os.walk(folder):
        for name in folders + files:
            path, status = Path(top, name), Path(top, name).lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            attributes = os.listxattr(path, follow_symlinks=False) if hasattr(os, "listxattr") else []
            found[str(path.relative_to(folder))] = (
                content, status.st_mode, status.st_mtime_ns, status.st_size, tuple(attributes))  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("isolated", "way"),
    [pytest.param(True, way, id=f"bubblewrap, {name}", marks=NEEDS_BUBBLEWRAP) for name, way in WAYS.items()]
    + [pytest.param(False, next(iter(WAYS.values())), id="plain")],  # the way out is the same: what is kept is a copy
)
def test_nothing_of_an_evaluation_stays(tiny, tmp_path, monkeypatch, isolated, way):
    before: dict[str, object] = {}

    def remember(at, *given):
        set_aside(at, *given)
        before.update(state_of(at.folder / KEPT))

    set_aside = workplace.Workplace.set_aside
    monkeypatch.setattr(workplace.Workplace, "set_aside", remember)
    result = run(tiny, submission(tmp_path / "mine", PREDICT.format(way=way)), isolated)
    assert result.state is State.SCORED, result.detail
    left = state_of(result.folder / "project")
    placed = ("data", "data/input")  # the platform takes its own data out of these
    assert {name: kept for name, kept in left.items() if name not in placed} == {
        name: kept for name, kept in before.items() if name not in placed and not name.startswith("data/input/Tiny")
    }
    assert sorted(path.name for path in result.folder.iterdir()) == [
        "evaluate.log", "project", "submission.zip", "train.log"]  # fmt: skip


LINKED = """
import os
first = sorted(os.listdir("data/input/Tiny/image"))[0] if os.path.isdir("data/input/Tiny/image") else "train.csv"
at = "data/input/Tiny/image/" + first if first != "train.csv" else "data/input/Tiny/train.csv"
os.link(at, "kept.bin")
open("at", "w").write(at)
"""
THROUGH_THE_LINK = """
from flyai.framework import FlyAI
class Prediction(FlyAI):
    def predict(self, image_path):
        open(open("at").read(), "r+b").write(b"STOLEN " + open(image_path, "rb").read())
        return {"label": 0}
"""


@pytest.mark.parametrize("spaced", [True, False], ids=["own file system", "none"])
def test_a_hard_link_to_the_platforms_data_leads_nowhere(tiny, tmp_path, monkeypatch, spaced):
    if not spaced:
        monkeypatch.setattr(space, "works", lambda: False)
    result = run(tiny, submission(tmp_path / "mine", THROUGH_THE_LINK, LINKED), isolated=None)
    assert result.state is State.SCORED, result.detail
    assert not (result.folder / "project" / "kept.bin").read_bytes().startswith(b"STOLEN")


def test_what_may_be_seen_of_a_log_is_a_fraction_of_what_the_pictures_weigh(tmp_path):
    for at in range(100):
        (tmp_path / f"{at}.png").write_bytes(bytes(1000))
    pictures = sorted(tmp_path.glob("*.png"))
    assert visible_mb(pictures) * 2**20 == pytest.approx(2000)
    assert visible_mb(pictures[:5]) * 2**20 == 512
    assert visible_mb(pictures * 1000) * 2**20 == MOST_VISIBLE


@pytest.mark.parametrize("line", [b"x" * 90, b"x" * 3000, "\u6587".encode() * 90], ids=["short", "long", "wide"])
def test_log_and_tail_together_show_no_more_than_may_be_seen(tmp_path, line):
    shown: list[str] = []
    log = Log(tmp_path / "evaluate.log", 10, visible_mb=1000 / 2**20, echo=shown.append)
    for _ in range(50):
        log.write(line)
    tail = log.tail(40)
    log.close()
    text = (tmp_path / "evaluate.log").read_text(encoding="utf-8")
    assert text.count("x") + 3 * text.count("\u6587") <= 1000
    assert sum(len(part.encode()) for part in tail) <= 500 and sum(len(part.encode()) for part in shown) <= 500
    assert tail and "lines are left out here" in text


def test_the_failure_of_an_evaluation_tells_little(tiny, tmp_path):
    loud = prediction(predict='raise ValueError("".join(chr(65 + at % 26) for at in range(5000)))')
    result = run(tiny, submission(tmp_path / "mine", loud), isolated=False)
    assert result.code is Code.PREDICT_FAILED
    assert len(result.detail) <= 300
    assert sum(map(len, result.tail)) <= visible_mb([picture for picture, _ in hidden_rows(tiny)]) * 2**19


NAMED = """
from flyai.framework import FlyAI

class Prediction(FlyAI):
    def load_model(self):
        pass
    def predict(self, image_path):
        return {"label": type("t" * 5000 + chr(27), (str,), {})("0")}

for at in range(20):
    name = "A%02d" % at + chr(27) + "[31m" + chr(0x202E) + "x" * 200
    globals()[name] = type(name, (Prediction,), {})
"""


def test_the_names_of_classes_carry_little_out(tiny, tmp_path):
    """A module that is imported beside the hidden pictures may give its classes any name, and its answers any type."""
    result = run(tiny, submission(tmp_path / "mine", NAMED), isolated=False)
    said = [note for note in result.notes if "was taken" in note]
    assert said and sum(map(len, said)) <= 300 and all(note.isprintable() for note in said)
    assert len(result.detail) <= 300 and result.detail.isprintable()


def test_a_run_that_the_platform_could_not_score_is_no_try(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("flyai_local.run.runner.hidden_rows", lambda chosen: [])
    result = run(tiny, submission(tmp_path / "mine", prediction(predict='return {"label": 0}')), isolated=False)
    assert (result.state, result.code) == (State.CRASHED, Code.PLATFORM_FAULT)


@pytest.mark.parametrize(("train", "code"), [
    ("import os\nos._exit(255)\n", Code.TRAINING_FAILED),
    ("import os\nos.rename('prediction.py', 'gone.py')\n", Code.NO_PREDICTION),
])  # fmt: skip
def test_a_failure_has_its_own_name(tiny, tmp_path, train, code):
    """255 is no signal, and a module that main.py took away is no package to install."""
    result = run(tiny, submission(tmp_path / "mine", prediction(predict='return {"label": 0}'), train), isolated=False)
    assert (result.state, result.code) == (State.FAILED, code), result.detail


SLOW = """
import time
from flyai.framework import FlyAI
class Prediction(FlyAI):
    def predict(self, image_path):
        open("stolen", "wb").write(open(image_path, "rb").read())
        print("up", flush=True)
        time.sleep(60)
"""


def test_a_signal_in_the_evaluation_leaves_no_picture(tiny, tmp_path):
    """One of them; test_endings.py has the others, in every state of a run."""
    ended, folder = _stopped(tmp_path, signal.SIGTERM)
    assert ended == 143
    last = records.open().runs()[-1]
    assert last.state is State.CRASHED and last.code is Code.INTERRUPTED and not last.counts
    assert sorted(path.name for path in folder.iterdir()) == [
        "evaluate.log", "project", "submission.zip", "train.log"]  # fmt: skip
    assert not list(folder.rglob("*.png")) and not list(folder.rglob("stolen"))


def test_the_next_start_finishes_what_a_killed_run_left(tiny, tmp_path):
    ended, folder = _stopped(tmp_path, signal.SIGKILL)
    assert ended == -signal.SIGKILL
    assert list(folder.rglob("*.png")) or (folder / space.IMAGE).exists()  # where all of it is
    assert finish_killed(runs_folder()) == [folder]
    assert sorted(path.name for path in folder.iterdir()) == [
        "evaluate.log", "project", "submission.zip", "train.log"]  # fmt: skip
    assert not list(folder.rglob("*.png")) and not list(folder.rglob("stolen"))
    assert (folder / "project" / "model.txt").read_text() == "m"
    assert records.open().runs()[-1].code is Code.ABANDONED
    assert finish_killed(runs_folder()) == []


def test_a_run_at_work_is_not_finished_by_another(tiny, tmp_path):
    from flyai_local.run.leftovers import owned

    with owned(runs_folder() / "77"):
        (runs_folder() / "77" / "private").mkdir()
        assert finish_killed(runs_folder()) == []
    assert (runs_folder() / "77" / "private").is_dir()


def _stopped(tmp_path: Path, sign: int) -> tuple[int, Path]:
    """Exit code and folder of a run that gets the signal while its evaluation has the pictures."""
    words = [sys.executable, "-m", "flyai_local", "train", "--submission", str(submission(tmp_path / "mine", SLOW))]
    words += ["--competition", "Tiny"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as platform:
        assert platform.stderr is not None
        for line in platform.stderr:
            if line.rstrip().endswith(b"| up"):
                break
        below = [Path("/proc", str(pid)) for pid in descendants(platform.pid)]
        platform.send_signal(sign)
        platform.stderr.read()
        code = platform.wait()
    while any(running(process) for process in below):  # its keeper hears of it from the kernel
        time.sleep(0.05)
    return code, runs_folder() / str(records.open().runs()[-1].id)


# Folders


def nest(folder: Path, levels: int, name: str) -> Path:
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=handle)
        handle, old = os.open(name, os.O_RDONLY, dir_fd=handle), handle
        os.close(old)
    file = os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=handle)
    os.write(file, b"x" * 2**20)
    os.close(file)
    os.close(handle)
    return folder


def test_depth_hides_nothing_and_stays_nowhere(tmp_path):
    folder = nest(tmp_path / "deep", 1100, "n" * 200)  # neither a path nor Python's stack reaches the bottom
    try:
        assert use(folder).bytes >= 2**20 and use(folder).entries == 1101
        with pytest.raises(OSError, match=r"levels deep|too long"):
            copied(folder, tmp_path / "copy")
    finally:
        removed(folder)
        removed(tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_takes_no_more_than_its_source(tmp_path):
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    with (source / "sparse").open("wb") as file:
        file.truncate(2**33)
        file.seek(2**32)
        file.write(b"middle")
    (source / "one").write_bytes(bytes(100_000))
    for at in range(20):
        os.link(source / "one", source / f"twin{at}")
    (source / "out").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe")
    (source / "locked").write_bytes(b"1")
    (source / "locked").chmod(0)
    os.utime(source / "one", (1000, 1000))
    copied(source, tmp_path / "copy")
    assert use(tmp_path / "copy").bytes <= use(source).bytes < 2**20
    assert (tmp_path / "copy" / "sparse").stat().st_size == 2**33
    assert (tmp_path / "copy" / "one").stat().st_mtime == 1000
    assert (tmp_path / "copy" / "out").is_symlink() and not (tmp_path / "copy" / "pipe").exists()
    assert (tmp_path / "copy" / "locked").read_bytes() == b"1"
    with (tmp_path / "copy" / "sparse").open("rb") as file:
        file.seek(2**32)
        assert file.read(6) == b"middle"


def test_a_link_is_removed_and_not_followed(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_bytes(b"1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    removed(tmp_path / "folder")
    removed(tmp_path / "link")
    removed(tmp_path / "nothing")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
    assert (tmp_path / "precious" / "file").exists()
