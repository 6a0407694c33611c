"""Whole runs: from a folder or an archive to the board, in every state, with every failure named."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import cv2
import pytest
from conftest import ROOT, draw
from lab import BOTH, prediction, running

from flyai_local.__main__ import main
from flyai_local.board import records
from flyai_local.box import limits
from flyai_local.box.processes import descendants
from flyai_local.contest.competitions import hidden_rows
from flyai_local.contest.register import add
from flyai_local.home import runs_folder
from flyai_local.run import requirements
from flyai_local.run.causes import CAUSES, explain
from flyai_local.run.job import Job
from flyai_local.states import STATES, Code, State, is_platform_fault
from flyai_local.submission import submission
from flyai_local.submission.pack import pack, select
from flyai_local.submission.unpack import ArchiveError

GOOD = Path(__file__).parents[2] / "submissions" / "good"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="limits and signals of POSIX systems")

# Learns the mean colour of each class with numpy alone.
MAIN = """
import argparse, csv, os, sys
import numpy as np
from PIL import Image
from flyai.data_helper import DataHelper

parser = argparse.ArgumentParser()
parser.add_argument("-e", "--EPOCHS", type=int, default=1)
parser.add_argument("-b", "--BATCH", type=int, default=2)
args = parser.parse_args()
DataHelper().download_from_ids("Tiny")
folder = os.path.join("data", "input", "Tiny")
rows = list(csv.DictReader(open(os.path.join(folder, "train.csv"))))
print("asked for", args.EPOCHS, args.BATCH, "with", len(rows), "rows", sys.argv)
means = {}
for row in rows:
    colour = np.asarray(Image.open(os.path.join(folder, row["image_path"])), float).mean((0, 1))
    means.setdefault(int(row["label"]), []).append(colour)
os.makedirs("trained", exist_ok=True)
np.save("trained/means.npy", np.stack([np.mean(means[label], 0) for label in sorted(means)]))
print('{"score": 100.0, "label": "The Score is Total ACC", "info": ""}')
"""
PREDICTION = """
import numpy as np
from PIL import Image
from flyai.framework import FlyAI


class Prediction(FlyAI):
    def load_model(self):
        self.means = np.load("trained/means.npy")

    def predict(self, image_path):
        colour = np.asarray(Image.open(image_path), float).mean((0, 1))
        return {"label": np.argmin(((self.means - colour) ** 2).sum(1))}
"""


@pytest.fixture
def tiny(competition):
    """The small competition of conftest, with a third of its pictures hidden."""
    return add("Tiny", competition / "train.csv", competition, hidden=1 / 3)


@pytest.fixture
def project(tmp_path):
    return write(tmp_path / "mine", {"main.py": MAIN, "prediction.py": PREDICTION})


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def start(capsys, *words: object) -> tuple[int, list[str], str]:
    """Exit code, lines of stdout, and stderr of one command."""
    code = main([str(word) for word in words])
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), printed.err


def last_run() -> records.Run:
    return records.open().runs()[-1]


@pytest.mark.parametrize("isolated", BOTH)
def test_a_submission_is_trained_evaluated_scored_and_ranked(tiny, project, capsys, isolated):
    options = [] if isolated else ["--no-isolation"]
    code, lines, shown = start(
        capsys, "train", "--submission", project, "--competition", "Tiny", "-e=3", "-b=7", *options
    )
    run = last_run()
    assert code == 0
    assert json.loads(lines[-1]) == {"score": run.score, "label": "The Score is Total ACC", "info": ""}
    assert (
        run.score == 100.0
        and run.state is State.SCORED
        and run.code is None
        and run.per_class == {"0": 100, "1": 100, "2": 100}
    )
    assert any("rank 1 of 1 on the board" in line for line in lines)
    assert any("Current Pred: 12/12" in line for line in lines)
    assert any(("isolated by bubblewrap" if isolated else "not isolated") in line for line in lines)
    assert "asked for 3 7 with 24 rows ['main.py', '-e=3', '-b=7']" in shown
    assert run.peak_mb and run.seconds and run.size_bytes


def test_the_metric_of_the_competition_scores_and_a_card_that_trains_for_another_is_told(competition, project, capsys):
    add("Tiny", competition / "train.csv", competition, hidden=1 / 3, metric="macro_f1")
    (project / "prediction.py").write_text(PREDICTION.replace("np.argmin(", "0 * np.argmin("), encoding="utf-8")
    (project / "app.yaml").write_text("competition: {id: Tiny, metric: accuracy}\n", encoding="utf-8")
    code, lines, _ = start(capsys, "train", "--submission", project, "--competition", "Tiny", "--no-isolation")
    assert code == 0
    assert json.loads(lines[-1]) == {
        "score": 16.67,
        "label": "The Score is Total macro F1",
        "info": "",
    }  # F1 of 1/2, 0 and 0
    assert any("note: app.yaml trains for accuracy and Tiny is scored by macro_f1" in line for line in lines)
    assert last_run().metric == "macro_f1"


def test_a_forged_score_on_stdout_is_only_log_text(tiny, project, capsys):
    forged = PREDICTION.replace('return {"label": ', 'print(\'{"score": 100.0}\')\n        return {"label": 1 + ')
    (project / "prediction.py").write_text(forged, encoding="utf-8")
    code, lines, shown = start(capsys, "train", "--submission", project, "--competition", "Tiny", "--no-isolation")
    assert code == 0
    assert json.loads(lines[-1])["score"] == 0.0 == last_run().score
    assert not any("100.0" in line for line in lines)
    assert 'train | {"score": 100.0, "label"' in shown and 'evaluate | {"score": 100.0}' in shown


def test_test_works_on_a_sample_and_does_not_rank(competition, project, capsys, tmp_path):
    rows = ["image_path,label"]
    for at in range(330):
        rows.append(f"image/{at:03d}.png,{at % 3}")
        if at >= 36:
            cv2.imwrite(str(competition / "image" / f"{at:03d}.png"), draw(at % 3, at, 8))
    (competition / "train.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    add("Tiny", competition / "train.csv", competition, hidden=1 / 3)
    code, lines, shown = start(capsys, "test", "--submission", project, "--competition", "Tiny", "--no-isolation")
    assert code == 0
    assert "asked for 1 32 with 100 rows" in shown
    assert any("Current Pred: 100/100" in line for line in lines)
    assert any("not on the board" in line for line in lines)


def test_an_archive_runs_as_its_folder_does(tiny, project, capsys, tmp_path):
    pack(project, tmp_path / "s.zip", select(project))
    assert start(capsys, "train", "--submission", tmp_path / "s.zip", "--competition", "Tiny", "--no-isolation")[0] == 0
    assert last_run().score == 100.0


def test_a_trained_folder_is_evaluated_in_a_copy(tiny, project, capsys):
    start(capsys, "train", "--submission", project, "--competition", "Tiny", "--no-isolation")
    trained = runs_folder() / str(last_run().id) / "project"
    assert (trained / "trained" / "means.npy").is_file()
    before = sorted(path.relative_to(trained) for path in trained.rglob("*"))
    code, lines, _ = start(capsys, "evaluate", trained, "--competition", "Tiny", "--no-isolation")
    assert code == 0 and json.loads(lines[-1])["score"] == 100.0
    assert sorted(path.relative_to(trained) for path in trained.rglob("*")) == before


def test_nothing_hidden_and_no_data_stays_in_the_run(tiny, project, capsys):
    start(capsys, "train", "--submission", project, "--competition", "Tiny", "--no-isolation")
    folder = runs_folder() / str(last_run().id)
    left = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert left == [
        "evaluate.log",
        "project/main.py",
        "project/prediction.py",
        "project/trained/means.npy",
        "submission.zip",
        "train.log",
    ]


@pytest.mark.parametrize("isolated", BOTH)
def test_training_never_sees_a_hidden_picture(tiny, project, capsys, isolated):
    look = """
import hashlib
pictures = [os.path.join(top, name) for top, _, names in os.walk(".") for name in names if name.endswith(".png")]
for picture in pictures:
    print("SEEN", hashlib.sha256(open(picture, "rb").read()).hexdigest())
"""
    (project / "main.py").write_text(MAIN + look, encoding="utf-8")
    start(capsys, "train", "--submission", project, "--competition", "Tiny", *([] if isolated else ["--no-isolation"]))
    log = (runs_folder() / str(last_run().id) / "train.log").read_text(encoding="utf-8")
    assert log.count("SEEN") == 24
    for picture, _ in hidden_rows(tiny):
        assert hashlib.sha256(picture.read_bytes()).hexdigest() not in log


# Failures


FAULTS = {
    "no-main": ({"main.py": None}, Code.NO_MAIN),
    "no-prediction": ({"prediction.py": None}, Code.NO_PREDICTION),
    "main without -e": ({"main.py": "import argparse\nargparse.ArgumentParser().parse_args()"}, Code.MAIN_ARGUMENTS),
    "training raises": ({"main.py": "raise ValueError('mine')"}, Code.TRAINING_FAILED),
    "package": ({"main.py": "import not_there_at_all"}, Code.MISSING_PACKAGE),
    "weights": (
        {
            "main.py": "from flyai.utils.remote_helper import "
            "get_remote_data\nget_remote_data('https://www.flyai.com/m/b6.pth')"
        },
        Code.MISSING_WEIGHTS,
    ),
    "nothing saved": ({"main.py": "print('forgot')"}, Code.NO_CHECKPOINT),
    "bare return": ({"prediction.py": prediction(predict="return 0")}, Code.BARE_RETURN),
    "killed": ({"main.py": "import os\nos.kill(os.getpid(), 9)"}, Code.KILLED),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_is_named_with_its_last_lines(tiny, project, capsys, fault):
    files, code = FAULTS[fault]
    for name, text in files.items():
        (project / name).unlink() if text is None else (project / name).write_text(text, encoding="utf-8")
    exit_code, lines, _ = start(
        capsys, "train", "--submission", project, "--competition", "Tiny", "--no-isolation", "--quiet"
    )
    text = "\n".join(lines)
    assert exit_code == 1
    assert f"[{code.value}]" in text and all(part in text for part in explain(code))
    assert (last_run().state, last_run().code) == (State.FAILED, code)
    if fault == "weights":
        assert "'b6.pth'" in text and "--weights" in text
    if fault == "training raises":
        assert "ValueError: mine" in text and "train.log" in text


def test_labels_of_the_wrong_type_score_zero_and_say_why(tiny, project, capsys):
    (project / "prediction.py").write_text(PREDICTION.replace("np.argmin(", "str(np.argmin(") + "\n", encoding="utf-8")
    text = (project / "prediction.py").read_text(encoding="utf-8").replace(".sum(1))}", ".sum(1)))}")
    (project / "prediction.py").write_text(text, encoding="utf-8")
    code, lines, _ = start(capsys, "train", "--submission", project, "--competition", "Tiny", "--no-isolation")
    assert code == 0 and json.loads(lines[-1])["score"] == 0.0
    assert (last_run().state, last_run().code) == (State.SCORED, Code.LABEL_TYPE)
    assert any("the score would be 100.0 instead of 0.0" in line for line in lines)


def test_a_limit_is_named(tiny, project, capsys):
    (project / "main.py").write_text("while True: pass", encoding="utf-8")
    start(capsys, "train", "--submission", project, "--competition", "Tiny", "--no-isolation", "--time-limit", "1")
    assert last_run().code is Code.TIME_LIMIT


@pytest.mark.parametrize(
    ("card", "words", "told"),
    [(90, (), "90"), (90, ("--time-limit", "60"), "1"), (None, ("--time-limit", "120"), "2"), (None, (), "")],
)
def test_a_submission_is_told_its_minutes(competition, project, capsys, monkeypatch, card, words, told):
    monkeypatch.delenv("FLYAI_MINUTES", raising=False)
    add("Tiny", competition / "train.csv", competition, hidden=0.3, minutes=card)
    (project / "main.py").write_text(
        "import os\nprint('told', repr(os.environ.get('FLYAI_MINUTES', '')))", encoding="utf-8"
    )
    assert (
        f"told {told!r}"
        in start(capsys, "train", "--submission", project, "--competition", "Tiny", "--no-isolation", *words)[2]
    )


def test_training_and_answers_share_the_minutes_of_the_card(competition):
    chosen = add("Tiny", competition / "train.csv", competition, hidden=0.3, minutes=10)
    job = Job(competition, chosen, "train", minutes=chosen.minutes)
    assert (job.within(limits.TRAIN).seconds, job.within(limits.EVALUATE, used=540.0).seconds) == (600, 60)
    assert job.within(limits.EVALUATE, used=601.0).seconds == 1  # it is asked, and ended at once
    assert Job(competition, chosen, "train").within(limits.EVALUATE, used=1e9) == limits.EVALUATE


@pytest.mark.parametrize("text", ["0", "-5", "nan", "inf", "soon"])
def test_minutes_that_are_none_are_refused(competition, capsys, text):
    with pytest.raises(SystemExit) as refused:
        main(["add", "Tiny", "--csv", str(competition / "train.csv"), "--images", str(competition), "--minutes", text])
    assert refused.value.code == 2 and "is not a time: give a number of minutes above 0" in capsys.readouterr().err


def test_an_unsafe_archive_is_a_failure_of_the_submission(tiny, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as opened:
        opened.writestr("main.py", "")
        opened.writestr("../prediction.py", "")
    assert start(capsys, "train", "--submission", tmp_path / "s.zip", "--competition", "Tiny")[0] == 1
    assert (last_run().state, last_run().code) == (State.FAILED, Code.UNSAFE_ARCHIVE)


def test_a_fault_of_the_platform_is_no_try(tiny, project, capsys, monkeypatch):
    monkeypatch.setattr("flyai_local.run.runner.score", lambda *_: 1 / 0)
    code, lines, _ = start(capsys, "train", "--submission", project, "--competition", "Tiny", "--no-isolation")
    assert code == 3 and any("[platform-fault]" in line for line in lines)
    assert last_run().state is State.CRASHED and not last_run().counts
    assert "ZeroDivisionError" in (runs_folder() / str(last_run().id) / "platform.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["train", "--submission", "nowhere"], "nowhere"),
        (["train", "--competition", "Tinny"], "Tinny"),
        (["train", "--weights", "nowhere"], "--weights"),
    ],
)
def test_a_run_that_cannot_begin_is_a_sentence(tiny, project, capsys, monkeypatch, words, hint):
    monkeypatch.chdir(project)
    code, _, shown = start(capsys, *words)
    assert code == 1 and hint in shown and records.open().runs() == []


STATES_OF_A_RUN = {"training": "main.py", "evaluating": "prediction.py"}


@pytest.mark.parametrize("state", STATES_OF_A_RUN)
@pytest.mark.parametrize("isolated", BOTH)
def test_a_killed_runner_is_marked_and_leaves_no_process(tiny, project, state, isolated):
    hang = "import time\nprint('up', flush=True)\ntime.sleep(60)\n"
    (project / STATES_OF_A_RUN[state]).write_text(hang, encoding="utf-8")
    if state == "evaluating":
        (project / "main.py").write_text("print('trained')", encoding="utf-8")
    command = [sys.executable, "-m", "flyai_local", "train", "--submission", str(project), "--competition", "Tiny"]
    runner = subprocess.Popen(
        command + ([] if isolated else ["--no-isolation"]),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert runner.stderr is not None and runner.stdout is not None
    said = []
    while "up" not in (line := runner.stderr.readline()):
        said.append(line)
        assert line, (said, runner.wait(), runner.stdout.read())
    before = [Path("/proc", str(pid)) for pid in descendants(runner.pid)]
    assert len(before) > 1
    runner.send_signal(signal.SIGKILL)
    runner.communicate()
    run = last_run()
    assert (run.state, run.code, run.counts) == (State.CRASHED, Code.ABANDONED, False)
    assert state in run.detail
    for _ in range(600):
        if not any(running(process) for process in before):
            break
        time.sleep(0.1)
    assert not [process for process in before if running(process)]


# Generations, data, weights


NETWORKS = ("dataset_1x", "mushroom_2_0")  # these train one with torch, for some ten seconds


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(folder.name, marks=[pytest.mark.slow] if folder.name in NETWORKS else [])
        for folder in sorted(GOOD.iterdir())
        if folder.is_dir()
    ],
)
def test_good_submissions_are_scored(tiny, capsys, name):
    words = ["--submission", GOOD / name, "--competition", "Tiny", "-e=1", "-b=8", "--weights", GOOD / name]
    code, lines, shown = start(capsys, "train", *words)
    assert code == 0, "\n".join(lines) + shown
    assert last_run().state is State.SCORED and 0 <= json.loads(lines[-1])["score"] <= 100


@pytest.mark.parametrize("isolated", BOTH)
def test_the_stand_in_wins_over_a_shipped_sdk_in_child_processes_too(tiny, project, capsys, isolated):
    shipped = "raise RuntimeError('the shipped copy asks the network')"
    write(project, {"flyai_sdk.py": shipped, "flyai/__init__.py": shipped, "utils/tools.py": "HERE = 1"})
    check = (
        "import flyai_sdk, subprocess, sys, utils.tools\n"
        "assert subprocess.run([sys.executable, '-c', 'import flyai_sdk, flyai.framework']).returncode == 0\n"
    )
    (project / "main.py").write_text(check + MAIN, encoding="utf-8")
    options = [] if isolated else ["--no-isolation"]
    assert start(capsys, "train", "--submission", project, "--competition", "Tiny", *options)[0] == 0


@pytest.mark.parametrize("isolated", BOTH)
def test_weights_are_found_by_the_sdk_and_by_torch_hub(tiny, project, capsys, tmp_path, isolated):
    write(tmp_path / "weights", {"b6-abc.pth": "pretrained"})
    check = """
from flyai.utils import remote_helper
import os
assert open(remote_helper.get_remote_date("https://www.flyai.com/m/b6-abc.pth")).read() == "pretrained"
assert open(os.path.join(os.environ["TORCH_HOME"], "hub", "checkpoints", "b6-abc.pth")).read() == "pretrained"
"""
    (project / "main.py").write_text(check + MAIN, encoding="utf-8")
    options = ["--weights", tmp_path / "weights", *([] if isolated else ["--no-isolation"])]
    assert start(capsys, "train", "--submission", project, "--competition", "Tiny", *options)[0] == 0
    assert (tmp_path / "weights" / "b6-abc.pth").read_text(encoding="utf-8") == "pretrained"


def test_the_competition_that_the_submission_names_is_the_default(tiny, project, capsys, monkeypatch):
    monkeypatch.chdir(project)
    code, lines, _ = start(capsys, "train", "--no-isolation", "-e=1")
    assert code == 0 and any(line.startswith("competition: Tiny") for line in lines[:2])  # after a word to root


@pytest.mark.parametrize(
    ("files", "ids"),
    [
        ({"app.json": '{"data": {"source": [{"id": "A"}, {"id": "B"}]}}'}, ("A", "B")),
        ({"app.json": '{"data_id": "C"}'}, ("C",)),
        ({"app.yaml": "---\ndata:\n  id: D\n...\n"}, ("D",)),
        ({"app.yaml": "competition: {id: E}\n"}, ("E",)),
        ({"main.py": "DataHelper().download_from_ids('F')"}, ("F",)),
        ({"path.py": "DATA_ID = 'G'", "main.py": "DataHelper().download_from_ids(DATA_ID)"}, ("G",)),
        ({"main.py": "DataHelper().download_from_ids('../x', name)", "app.json": "[", "app.yaml": "- a"}, ()),
    ],
)
def test_ids_of_a_project(tmp_path, files, ids):
    assert submission.ids(write(tmp_path, {"main.py": "", **files})) == ids


def test_generations_are_told_apart(tmp_path):
    card = "model: {processor: P, input: {columns: [{name: image}]}, output: {columns: [{name: labels}]}}\n"
    old = {"main.py": "", "app.yaml": card, "model.py": "", "processor.py": ""}
    found = submission.read(write(tmp_path / "old", old))
    assert (found.generation, found.columns) == ("1.x", ("image", "labels"))
    assert (
        submission.read(write(tmp_path / "own", {**old, "prediction.py": "print('not of the platform')"})).generation
        == "1.x"
    )
    assert (
        submission.read(
            write(tmp_path / "new", {**old, "prediction.py": "from flyai.framework import FlyAI"})
        ).generation
        == "2.0"
    )
    with pytest.raises(ArchiveError, match="'inner'") as caught:
        submission.read(write(tmp_path / "nested", {"inner/main.py": "", "readme.txt": ""}))
    assert caught.value.code is Code.NESTED_FOLDER


def test_requirement_lines(tmp_path):
    text = (
        "# comment\n\nflyai\nflyai==0.6.6\nFlyAI==0.7.1\nflyai_sdk\nnumpy==1.26.4  # why\ncv2\n-r "
        "more.txt\n./local\ntorch>=1.6,<3\na b\n"
    )
    (tmp_path / "requirements.txt").write_text("\ufeff" + text, encoding="utf-8")
    found = {line.text: bool(line.skip) for line in requirements.lines(tmp_path / "requirements.txt")}
    assert [name for name, skip in found.items() if not skip] == ["numpy==1.26.4", "cv2", "torch>=1.6,<3"]
    assert set(found) - {"numpy==1.26.4", "cv2", "torch>=1.6,<3"} == {
        "flyai", "flyai==0.6.6", "FlyAI==0.7.1", "flyai_sdk", "-r more.txt", "./local", "a b"
    }  # fmt: skip
    assert list(requirements.lines(tmp_path / "none.txt")) == []


@pytest.mark.slow
@pytest.mark.parametrize("isolated", BOTH)
def test_a_fresh_environment_holds_only_what_requirements_say(tiny, project, capsys, isolated):
    main_py = (
        "import importlib.util, sys\nprint('numpy', importlib.util.find_spec('numpy'), "
        "sys.prefix)\nopen('m', 'w').close()"
    )
    write(
        project, {"main.py": main_py, "prediction.py": prediction(load="open('m')"), "requirements.txt": "flyai\n# c\n"}
    )
    options = ["--fresh-env", *([] if isolated else ["--no-isolation"])]
    code, lines, shown = start(capsys, "train", "--submission", project, "--competition", "Tiny", *options)
    assert code == 0, "\n".join(lines) + shown
    assert "numpy None" in shown
    assert any("flyai: skipped" in line for line in lines)


# States and codes


def test_every_code_and_state_has_its_sentences():
    assert set(CAUSES) == set(Code) and set(STATES) == set(State)
    for sentence in CAUSES.values():
        assert all(sentence) and re.search("[\u4e00-\u9fff]", sentence.cause_zh + sentence.remedy_zh)
    faults = {Code.ABANDONED, Code.INTERRUPTED, Code.PLATFORM_FAULT, Code.WORKER_LOST}
    assert {code for code in Code if is_platform_fault(code)} == faults
    with pytest.raises(ValueError, match="'fr'"):
        explain(Code.KILLED, "fr")


def test_the_documentation_holds_every_state_and_code():
    page = (ROOT / "docs" / "platform.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", page, re.MULTILINE))
    assert set(rows) == {state.value for state in State} | {code.value for code in Code}
    for code in Code:
        assert rows[code.value] == " | ".join(explain(code))
    for state in State:
        assert rows[state.value] == STATES[state]


def test_the_commands_explain_their_exit_codes(capsys):
    for command in ("test", "train", "evaluate", "pack"):
        with pytest.raises(SystemExit) as caught:
            main([command, "--help"])
        assert caught.value.code == 0 and "exit codes:" in capsys.readouterr().out


def test_run_folders_are_clean_of_packing(tiny, project, capsys):
    start(capsys, "train", "--submission", project, "--competition", "Tiny", "--no-isolation")
    assert [path.name for path in runs_folder().iterdir()] == [str(last_run().id)]
    shutil.rmtree(runs_folder())


@pytest.mark.parametrize("isolated", BOTH)
def test_ctrl_c_ends_the_submission_and_is_no_try(tiny, project, isolated):
    (project / "main.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n", encoding="utf-8")
    command = [sys.executable, "-m", "flyai_local", "train", "--submission", str(project), "--competition", "Tiny"]
    runner = subprocess.Popen(
        command + ([] if isolated else ["--no-isolation"]),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert runner.stderr is not None
    while "up" not in (line := runner.stderr.readline()):
        assert line
    before = [Path("/proc", str(pid)) for pid in descendants(runner.pid)]
    runner.send_signal(signal.SIGINT)
    runner.communicate(timeout=600)
    assert runner.returncode == 130
    assert (last_run().state, last_run().code, last_run().counts) == (State.CRASHED, Code.INTERRUPTED, False)
    assert before and not [process for process in before if running(process)]
