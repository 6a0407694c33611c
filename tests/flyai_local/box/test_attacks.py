"""Attacks of a submission on the platform, its hidden data, its neighbours and the machine; each fails at a defence.

Every test runs with bubblewrap and without where both stop the attack. What only bubblewrap can stop is marked
`NEEDS_BUBBLEWRAP`: a plain process of the user can read what the user reads and reach what the user reaches.
"""

from __future__ import annotations

import ast
import io
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from lab import BOTH, NEEDS_BUBBLEWRAP, SMALL, alive, ask, box, main, prediction

from flyai_local.box import isolate
from flyai_local.box.logs import Log
from flyai_local.box.processes import LINUX
from flyai_local.evaluator import described_answer
from flyai_local.run import hidden
from flyai_local.run.answers import parse
from flyai_local.run.diagnose import RunError
from flyai_local.run.hidden import bring
from flyai_local.run.score import final_line, score
from flyai_local.states import Code
from flyai_local.submission.submission import read

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the attacks are written for POSIX systems")
PACKAGE = Path(isolate.__file__).parents[1]
SECRET = "zebra-7f3a-hidden"


# Reading what is hidden


@NEEDS_BUBBLEWRAP
@pytest.mark.parametrize("what", ["hidden labels", "another submission", "user's files"])
def test_files_of_the_machine_are_out_of_reach(tmp_path, what):
    secret = tmp_path / "elsewhere" / "hidden.csv"
    secret.parent.mkdir()
    secret.write_text(SECRET, encoding="utf-8")
    attack = f"""
    import os
    for path in ({str(secret)!r}, "/proc/1/root" + {str(secret)!r},
                 "/proc/self/root" + {str(secret)!r}, "../../elsewhere/hidden.csv"):
        try:
            print(path, open(path).read())
        except OSError as error:
            print(path, error.strerror)
    print("seen", os.path.exists({str(tmp_path)!r}), os.path.exists("/etc/shadow"), os.path.exists("/root/.ssh"))
    """
    outcome, log = main(box(tmp_path / "run", {"main.py": attack}, isolated=True))
    assert outcome.returncode == 0
    assert SECRET not in log
    assert "seen False False False" in log


@pytest.mark.parametrize("isolated", BOTH)
def test_labels_are_in_no_file_argument_or_variable_of_the_evaluation(tmp_path, isolated):
    pictures = tmp_path / "competition" / "hidden"
    pictures.mkdir(parents=True)
    rows = []
    for at in range(3):
        (pictures / f"{SECRET}_{at}.png").write_bytes(b"picture %d" % at)
        rows.append((pictures / f"{SECRET}_{at}.png", SECRET))
    look = f"""
    import os, sys
    from flyai.framework import FlyAI

    def seen():
        yield from map(str, sys.argv)
        yield from os.environ.values()
        for top, folders, files in os.walk("."):
            yield from folders + files
            yield from (open(os.path.join(top, name), "rb").read().decode("latin-1") for name in files
                        if not name.endswith(".py"))

    class Prediction(FlyAI):
        def load_model(self):
            self.found = any({SECRET[:5]!r} in text for text in seen())
            self.pictures = sum("picture" in text for text in seen())
        def predict(self, image_path):
            return {{"label": f"{{self.found}} {{self.pictures}} {{os.path.exists(image_path)}}"}}
    """
    chamber = box(tmp_path / "run", {"prediction.py": look}, isolated)
    questions = bring(rows, pictures, chamber.project, "2.0")
    rows_asked = [{"image_path": question.picture} for question in questions]
    log = Log(tmp_path / "evaluate.log", 1)
    found = examine_rows(chamber, rows_asked, log)
    assert [answer.value for answer in found.answers] == ["False 3 True"] * 3


def examine_rows(chamber, rows, log):
    from flyai_local.run.examine import examine

    try:
        return examine(chamber, "Tiny", "2.0", rows, SMALL, log, say=lambda text: None)
    finally:
        log.close()


def test_names_and_order_of_hidden_pictures_say_nothing(tmp_path):
    pictures = tmp_path / "hidden"
    pictures.mkdir()
    rows = []
    for at in range(40):
        (pictures / f"class{at % 4}_{at:03d}.png").write_bytes(b"%d" % at)
        os.utime(pictures / f"class{at % 4}_{at:03d}.png", (at, at))
        rows.append((pictures / f"class{at % 4}_{at:03d}.png", at))
    first, second = (bring(rows, pictures, made(tmp_path / name), "2.0") for name in ("a", "b"))
    assert sorted(question.label for question in first) == list(range(40))
    assert [question.label for question in first] != list(range(40))
    assert [question.label for question in first] != [question.label for question in second]
    assert not {question.picture for question in first} & {question.picture for question in second}
    for question in first:
        file = tmp_path / "a" / question.picture
        assert file.read_bytes() == b"%d" % question.label
        assert "class" not in question.picture and file.stat().st_mtime > 1000


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_a_link_in_the_way_of_the_hidden_pictures_is_not_followed(tmp_path):
    outside = made(tmp_path / "outside")
    project = made(tmp_path / "project" / "data" / "input").parent.parent
    (project / "data" / "input" / "image").symlink_to(outside, target_is_directory=True)
    (outside / "a.png").write_bytes(b"a")
    questions = bring([(outside / "a.png", 0)], outside, project, "2.0")
    assert (project / questions[0].picture).read_bytes() == b"a"
    assert [path.name for path in outside.iterdir()] == ["a.png"]


def test_the_visible_log_of_an_evaluation_is_too_small_for_pictures(tmp_path):
    log = Log(tmp_path / "evaluate.log", limit_mb=10, visible_mb=0.01)
    for at in range(5000):
        log.write(b"picture bytes " * 5 + b"%d" % at)
    log.close()
    text = (tmp_path / "evaluate.log").read_text(encoding="utf-8")
    assert len(text) < 20000
    assert text.splitlines()[-1].endswith("4999")
    assert "lines are left out here" in text


@pytest.mark.parametrize("isolated", BOTH)
def test_the_environment_holds_nothing_of_the_users(tmp_path, monkeypatch, isolated):
    monkeypatch.setenv("MY_API_TOKEN", SECRET)
    monkeypatch.setenv("FLYAI_LOCAL_HOME", str(tmp_path / SECRET))
    _, log = main(
        box(tmp_path, {"main.py": "import os; print(dict(os.environ)); print(os.environ['FLYAI_LOCAL_RUN'])"}, isolated)
    )
    assert "FLYAI_LOCAL_RUN" in log
    assert SECRET not in log


@NEEDS_BUBBLEWRAP
def test_the_environment_of_other_processes_cannot_be_read(tmp_path):
    attack = """
    import os
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            print(pid, b"FLYAI_TEST_SECRET" in open(f"/proc/{pid}/environ", "rb").read())
        except OSError as error:
            print(pid, error.strerror)
    """
    keeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={"FLYAI_TEST_SECRET": "1"})
    try:
        _, log = main(box(tmp_path, {"main.py": attack}, isolated=True))
    finally:
        keeper.communicate()
    assert "True" not in log
    assert f" {keeper.pid} " not in log


# Reaching out


@NEEDS_BUBBLEWRAP
def test_the_network_is_off(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        attack = f"""
        import socket
        print("interfaces", [name for _, name in socket.if_nameindex()])
        try:
            socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), timeout=3)
            print("connected")
        except OSError as error:
            print("failed", error.strerror)
        """
        _, log = main(box(tmp_path, {"main.py": attack}, isolated=True))
    assert "connected" not in log and "failed" in log
    assert "interfaces ['lo']" in log


@NEEDS_BUBBLEWRAP
def test_the_system_and_the_platform_cannot_be_written(tmp_path):
    attack = """
    import os
    for path in ("/x", "/usr/x", "/etc/x", "/dev/x", "/flyai/x", "/flyai/platform/sdk/flyai/x.py",
                 "/proc/sys/kernel/core_pattern"):
        try:
            open(path, "w")
            print("WROTE", path)
        except OSError:
            print("refused")
    for path in (".", "/tmp", os.environ["HOME"]):
        open(os.path.join(path, "mine"), "w").close()
    print([line for line in open("/proc/self/status") if line.startswith("CapEff")])
    """
    outcome, log = main(box(tmp_path, {"main.py": attack}, isolated=True))
    assert outcome.returncode == 0
    assert "WROTE" not in log and log.count("refused") == 7
    assert "CapEff:\\t0000000000000000" in log


# Using up the machine


BOMB = """
import os, time
for _ in range(6):          # at most 64 processes, and all of them end by themselves
    os.fork()
os.setsid() if os.getpid() != os.getsid(0) else None
time.sleep(120)
"""


@pytest.mark.skipif(not LINUX, reason="processes are counted in /proc")
@pytest.mark.parametrize("isolated", BOTH)
def test_a_fork_bomb_is_ended_with_all_its_processes(tmp_path, isolated):
    chamber = box(tmp_path, {"main.py": BOMB}, isolated)
    outcome, _ = main(chamber, replace(SMALL, processes=20))
    assert outcome.ended_by is Code.PROCESS_LIMIT
    assert alive(chamber) == []


@pytest.mark.parametrize("isolated", BOTH)
def test_a_full_disk_is_prevented(tmp_path, isolated):
    attack = """
    import time
    for at in range(40):
        with open(f"junk{at}", "wb") as file:
            file.write(bytes(2**20) if at else b"x" * 2**20)
        time.sleep(0.1)
    time.sleep(120)
    """
    outcome, _ = main(box(tmp_path, {"main.py": attack}, isolated), replace(SMALL, disk_mb=8))
    assert outcome.ended_by is Code.DISK_LIMIT


@pytest.mark.skipif(not LINUX, reason="deleted files are found in /proc")
@pytest.mark.parametrize("isolated", BOTH)
def test_a_disk_filled_through_a_deleted_file_is_seen(tmp_path, isolated):
    attack = """
    import os, time
    file = open("junk", "wb")
    os.remove("junk")
    file.write(b"x" * 2**24)
    file.flush()
    time.sleep(120)
    """
    outcome, _ = main(box(tmp_path, {"main.py": attack}, isolated), replace(SMALL, disk_mb=8))
    assert outcome.ended_by is Code.DISK_LIMIT


@pytest.mark.parametrize("isolated", BOTH)
def test_one_huge_file_is_prevented(tmp_path, isolated):
    attack = """
    with open("huge", "wb") as file:
        for _ in range(32):
            file.write(b"x" * 2**20)
    """
    outcome, log = main(box(tmp_path, {"main.py": attack}, isolated), replace(SMALL, file_mb=8))
    assert outcome.returncode != 0
    assert "File too large" in log
    assert (tmp_path / "project" / "huge").stat().st_size <= 8 * 2**20


@NEEDS_BUBBLEWRAP
def test_shared_memory_is_bounded(tmp_path):
    attack = """
    try:
        for at in range(64):
            with open(f"/dev/shm/{at}", "wb") as file:
                file.write(b"x" * 2**20)
        print("FILLED")
    except OSError as error:
        print("stopped:", error.strerror)
    """
    _, log = main(box(tmp_path, {"main.py": attack}, isolated=True), replace(SMALL, memory_mb=64))
    assert "FILLED" not in log and "stopped: No space left" in log


@pytest.mark.skipif(not LINUX, reason="memory is read from /proc")
@pytest.mark.parametrize("isolated", BOTH)
def test_memory_is_bounded_over_all_processes(tmp_path, isolated):
    attack = """
    import os, time
    for _ in range(3):
        if os.fork() == 0:
            held = bytearray(os.urandom(60 * 2**20))
            time.sleep(120)
            os._exit(0)
    time.sleep(120)
    """
    outcome, _ = main(box(tmp_path, {"main.py": attack}, isolated), replace(SMALL, memory_mb=128))
    assert outcome.ended_by is Code.OUT_OF_MEMORY
    assert outcome.peak_mb >= 128  # where the kernel holds it, it is never above


@pytest.mark.parametrize("isolated", BOTH)
def test_an_endless_run_is_ended(tmp_path, isolated):
    chamber = box(tmp_path, {"main.py": "while True: pass"}, isolated)
    outcome, _ = main(chamber, replace(SMALL, seconds=1.0))
    assert outcome.ended_by is Code.TIME_LIMIT
    assert alive(chamber) == []


@pytest.mark.parametrize(
    "line", ["print('noise' * 20)", "print('noise' * 20, end='')"], ids=["lines", "one endless line"]
)
@pytest.mark.parametrize("isolated", BOTH)
def test_an_endless_log_is_ended(tmp_path, isolated, line):
    outcome, log = main(box(tmp_path, {"main.py": f"while True: {line}"}, isolated), replace(SMALL, log_mb=0.25))
    assert outcome.ended_by is Code.LOG_LIMIT
    assert 0 < len(log) < 2**19


@pytest.mark.parametrize("isolated", BOTH)
def test_a_daemon_does_not_outlive_the_run(tmp_path, isolated):
    attack = """
    import os, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for handle in range(3):
                os.close(handle)
            time.sleep(60)
        os._exit(0)
    os.wait()
    time.sleep(0.3)
    print("left a daemon")
    """
    chamber = box(tmp_path, {"main.py": attack}, isolated)
    outcome, log = main(chamber)
    assert outcome.returncode == 0 and "left a daemon" in log
    assert alive(chamber) == []


@pytest.mark.skipif(not LINUX, reason="orphans are adopted by a feature of Linux")
def test_a_daemon_that_hides_its_origin_does_not_outlive_a_plain_run(tmp_path):
    attack = """
    import os, sys, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            open("pid", "w").write(str(os.getpid()))
            os.closerange(0, 3)
            os.execve(sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(60)"], {})
        os._exit(0)
    os.wait()
    time.sleep(0.5)
    """
    outcome, _ = main(box(tmp_path, {"main.py": attack}, isolated=False))
    pid = int((tmp_path / "project" / "pid").read_text())
    assert outcome.returncode == 0
    assert not Path(f"/proc/{pid}").exists()


# Killing the platform


@pytest.mark.parametrize("isolated", BOTH)
def test_killing_the_parent_gives_no_score_and_leaves_nothing(tmp_path, isolated):
    attack = """
    import contextlib, os, signal, time
    from flyai.framework import FlyAI
    if os.fork() == 0:
        time.sleep(60)
    with contextlib.suppress(PermissionError):  # where root runs the platform, it is another user's
        os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(0.5)

    class Prediction(FlyAI):
        def predict(self, image_path):
            return {"label": 0}
    """
    chamber = box(tmp_path, {"prediction.py": attack}, isolated)
    if isolated:  # its parent is the sandbox's own first process, which it cannot kill
        assert len(ask(chamber).answers) == 3
    else:
        with pytest.raises(RunError) as caught:
            ask(chamber)
        assert caught.value.code in (Code.KILLED, Code.EVALUATION_EXIT)
    assert alive(chamber) == []


RUN_ALONE = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from lab import box, main
chamber = box(Path({folder!r}), {{"main.py": "import time; print('up', flush=True); time.sleep(60)"}}, {isolated})
Path({folder!r}, "mark").write_text(chamber.mark)
main(chamber)
"""


@pytest.mark.skipif(not LINUX, reason="a child learns of its parent's death by prctl")
@pytest.mark.parametrize("isolated", BOTH)
def test_a_killed_platform_takes_the_submission_with_it(tmp_path, isolated):
    paths = [str(Path(__file__).resolve().parents[2]), str(PACKAGE.parent)]
    script = RUN_ALONE.format(paths=paths, folder=str(tmp_path), isolated=isolated)
    platform = subprocess.Popen([sys.executable, "-c", script])
    log = tmp_path / "train.log"
    while not (log.exists() and "up" in log.read_text(encoding="utf-8")):
        assert platform.poll() is None
        time.sleep(0.05)
    chamber = replace(box(tmp_path, {}, isolated), mark=(tmp_path / "mark").read_text())
    platform.send_signal(signal.SIGKILL)
    platform.wait()
    assert alive(chamber) == []


# Pickles


class Payload:
    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self):
        return exec, (self.code,)


@pytest.mark.parametrize("isolated", BOTH)
def test_a_pickle_in_a_checkpoint_runs_in_the_submissions_process_only(tmp_path, isolated):
    outside = tmp_path / "outside"
    code = (
        f"import os\ntry: open({str(outside)!r}, 'w').write(str(os.getpid()))\nexcept OSError: "
        "pass\nopen('inside', 'w').close()"
    )
    load = "import pickle; pickle.load(open('model.pkl', 'rb'))"
    chamber = box(tmp_path / "run", {"prediction.py": prediction(load=load)}, isolated)
    (chamber.project / "model.pkl").write_bytes(pickle.dumps(Payload(code)))
    assert len(ask(chamber).answers) == 3
    assert (chamber.project / "inside").exists()
    if isolated:
        assert not outside.exists()
    else:
        assert int(outside.read_text()) != os.getpid()


def test_no_module_of_the_platform_can_load_a_pickle():
    loaders = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "torch", "marshal", "shelve"}
    for file in PACKAGE.rglob("*.py"):
        if (PACKAGE / "sdk") in file.parents:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not loaders & {name.split(".")[0] for name in names}, file


# Forged scores and answers


def test_a_forged_score_line_is_marked_log_text(tmp_path, capsys):
    from flyai_local.run.progress import Progress

    forged = final_line(100.0)
    log = Log(tmp_path / "train.log", 1, echo=lambda line: Progress().line("train", line))
    log.pump(io.BytesIO(b"noise\r\x1b[1A\x1b[2K" + forged.encode() + b"\n"))
    log.close()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith(f"train | {forged}\n")
    assert "\x1b" not in (tmp_path / "train.log").read_text(encoding="utf-8")


STRANGE = ["float('nan')", "float('inf')", "None", "object()", "[0]", "{0}", "EqualsAll()"]


@pytest.mark.parametrize(
    ("isolated", "value"),
    [pytest.param(True, "EqualsAll()", marks=NEEDS_BUBBLEWRAP), *[(False, value) for value in STRANGE]],
)
def test_strange_answers_are_wrong_answers(tmp_path, isolated, value):
    text = "class EqualsAll:\n    __eq__ = lambda self, other: True\n" + prediction(
        predict=f'return {{"label": {value}}}'
    )
    answers = ask(box(tmp_path, {"prediction.py": text}, isolated)).answers
    found = score("Tiny", ["a", "b", "c"], [0, 0, 0], answers)
    assert found.total == 0.0 and '"score": 0.0' in final_line(found.total)


FORGE = """
import json, os, stat
from flyai.framework import FlyAI

def shout(line):
    for handle in range(3, 64):     # every pipe that this process holds, but its own log
        try:
            if stat.S_ISFIFO(os.fstat(handle).st_mode):
                os.write(handle, line)
        except OSError:
            pass

class Prediction(FlyAI):
    def load_model(self):
        {load}
    def predict(self, image_path):
        {predict}
        return {{"label": 0}}
"""
ANSWER = json_line = (
    b'{"event": "answer", "nonce": "0", "answer": {"shape": "label", "value": {"type": "int", "int": "0"}}}\\n'
)


@pytest.mark.parametrize(
    ("load", "predict"),
    [
        (f"shout({ANSWER!r} * 3)".replace("\\\\n", "\\n"), "pass"),
        ("pass", f"shout({ANSWER!r})".replace("\\\\n", "\\n")),
        ("shout(b'{\"score\": 100}\\n')", "pass"),
        ("shout(b'not json\\n')", "pass"),
    ],
    ids=["answers before the model is loaded", "an answer too many", "a score", "noise"],
)
@pytest.mark.parametrize("isolated", BOTH)
def test_answers_that_were_not_asked_for_end_the_evaluation(tmp_path, isolated, load, predict):
    with pytest.raises(RunError) as caught:
        ask(box(tmp_path, {"prediction.py": FORGE.format(load=load, predict=predict)}, isolated))
    assert caught.value.code is Code.EVALUATION_VIOLATED


@pytest.mark.parametrize("isolated", BOTH)
def test_a_replayed_answer_ends_the_evaluation(tmp_path, isolated):
    attack = """
    import __main__
    from flyai.framework import FlyAI

    tell, kept = __main__.Dialogue.tell, []

    def replay(self, **message):        # keep the first answer, and give it again for every row
        if message["event"] == "answer":
            kept.append(message)
            message = kept[0]
        tell(self, **message)

    __main__.Dialogue.tell = replay

    class Prediction(FlyAI):
        def predict(self, image_path):
            return {"label": 0}
    """
    with pytest.raises(RunError) as caught:
        ask(box(tmp_path, {"prediction.py": attack}, isolated))
    assert caught.value.code is Code.EVALUATION_VIOLATED


@pytest.mark.parametrize("change", ["chosen=None, candidates=5", "chosen=[1], candidates=[[2]] * 9000"])
def test_a_malformed_greeting_is_no_fault_of_the_platform(tmp_path, change):
    attack = f"""
    import __main__
    from flyai.framework import FlyAI
    tell = __main__.Dialogue.tell
    def greet(self, **message):
        if message["event"] == "ready":
            message.update({change})
        tell(self, **message)
    __main__.Dialogue.tell = greet
    class Prediction(FlyAI):
        def predict(self, image_path):
            return {{"label": 0}}
    """
    found = ask(box(tmp_path, {"prediction.py": attack}, isolated=False))
    assert len(found.candidates) <= 20 and len(found.answers) == 3


@pytest.mark.parametrize("card", ["[" * 100000, "{" * 100000, "a: " * 5000, "x" * 3 * 2**20])
def test_a_hostile_card_or_source_is_survived(tmp_path, card):
    for name in ("app.json", "app.yaml", "main.py", "prediction.py"):
        (tmp_path / name).write_text(card, encoding="utf-8")
    assert read(tmp_path).ids == ()


@pytest.mark.parametrize(
    "message", [{}, None, [], {"shape": "label"}, {"shape": "x", "value": {"type": "int", "int": "0"}}]
)
def test_a_malformed_answer_is_refused(message):
    with pytest.raises(ValueError):
        parse(message)


def test_numbers_too_large_to_parse_are_described_not_sent():
    answer = parse(
        described_answer({"label": 10**5000}) if sys.version_info < (3, 11) else described_answer({"label": 10**400})
    )
    assert not isinstance(answer.value, int)


def test_hidden_folder_is_the_form_of_the_platform():
    assert "/".join(hidden.FOLDER) == "data/input/image/image"
