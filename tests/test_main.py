"""The whole journey as a participant makes it, each step in a process of its own, and every bad start with its
sentence.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ("main.py", "prediction.py", "path.py", "app.yaml", "recipe", "protocol", "flyai_local")
FAST = (
    "-e",
    "1",
    "-b",
    "12",
    "--folds",
    "2",
    "--backbone",
    "test_efficientnet",
    "--pretrained",
    "false",
    "--image-size",
    "32",
    "--profile",
    "cpu",
    "--memory-format",
    "contiguous",
)
QUICK = (*FAST, "--no-report", "--export", "none")  # where neither is what is tried: half of the time and more


@pytest.fixture
def project(tmp_path, competition):
    """A copy of the project with the tiny competition in data/input, in a folder with a space and a non-ASCII name."""
    folder = tmp_path / "参赛 作品"
    folder.mkdir()
    for name in PROJECT:
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy2(source, folder)
    shutil.copytree(competition, folder / "data" / "input" / "Tiny")
    return folder


def python(project: Path, *words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the interpreter of the tests in the project."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", **environment}
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd or project,
        capture_output=True,
        text=True,
        env=variables,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.slow
def test_torchrun_trains_bit_by_bit_what_processes_trains(project):
    two = (*QUICK, "--competition", "Tiny", "--batch-norm", "frozen")
    started = python(project, "main.py", *two, "--processes", "2")
    assert started.returncode == 0, started.stderr
    model, kept = project / "data" / "output" / "model", project / "by processes"
    model.rename(kept)
    launched = python(project, "-m", "torch.distributed.run", "--nproc-per-node", "2", "main.py", *two)
    assert launched.returncode == 0, launched.stderr
    assert launched.stdout.count("out of fold") == started.stdout.count("out of fold") == 1  # the first alone speaks
    for name in ("oof.csv", "fold0/model.safetensors", "fold1/model.safetensors"):
        assert (model / name).read_bytes() == (kept / name).read_bytes(), name


def test_train_then_predict_in_other_processes(project, tmp_path):
    trained = python(project, "main.py", "--competition", "Tiny", *FAST, "--no-report")
    assert trained.returncode == 0, trained.stderr
    for part in ("profile cpu", "pictures 36 of 3 classes", "about", "out of fold", "accuracy", "next"):
        assert part in trained.stdout
    assert "BatchNorm" not in trained.stdout
    log = (project / "data/output/model/run.log").read_text("utf-8")
    assert all(part in log for part in ("profile cpu", "BatchNorm", "feeding", "model.safetensors", "next"))
    picture = project / "data" / "input" / "Tiny" / "image" / "001.png"
    copy = tmp_path / "图片 1.png"
    shutil.copy(picture, copy)
    (project / "bad.jpg").write_text("no picture", encoding="utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(project)!r})\n"
        "from prediction import Prediction, Predictor\n"
        "import json, os\n"
        f"p = Predictor(device='cpu'); path = {str(copy)!r}\n"
        "labels = [p.predict(path), p.predict(os.path.relpath(path)), *(a.label for a in p.predict_many([path, "
        "path]))]\n"
        "q = Prediction(); q.load_model()\n"
        "answers = [q.predict(image_path=path), q.predict(image_path='nowhere.png'), "
        f"q.predict(image_path={str(project / 'bad.jpg')!r})]\n"
        "print(json.dumps([labels, answers, p.predict_proba([path]).tolist()]))"
    )
    asked = python(project, "-c", code, cwd=tmp_path)
    assert asked.returncode == 0, asked.stderr
    labels, answers, probs = json.loads(asked.stdout.splitlines()[-1])
    assert len(set(labels)) == 1
    assert type(labels[0]) is int
    assert answers[0] == {"label": labels[0]}
    assert all(answer["label"] in (0, 1, 2) for answer in answers)
    assert sum(probs[0]) == pytest.approx(1, abs=1e-5)
    assert "nowhere.png" in asked.stderr
    assert "bad.jpg" in asked.stderr


def test_training_pictures_that_vanished_are_named_and_not_blamed_on_the_labels(project, tmp_path):
    data = project / "data" / "input" / "Tiny"
    home = {"FLYAI_LOCAL_HOME": str(tmp_path / "home")}
    added = python(
        project, "-m", "flyai_local", "add", "Mine", "--csv", str(data / "train.csv"), "--images", str(data), **home
    )
    assert added.returncode == 0, added.stderr
    (data / "image" / "001.png").unlink()
    asked = python(project, "main.py", "--competition", "Mine", *QUICK, **home)
    assert asked.returncode == 1
    assert "001.png' is gone: put it back" in asked.stdout
    assert "no file or folder" in asked.stderr and "what a download said" in asked.stderr
    (project / "data" / "input" / "Mine" / "image").mkdir(parents=True)  # as an interrupted copy leaves it
    shutil.copy(data / "image" / "002.png", project / "data" / "input" / "Mine" / "image")
    asked = python(project, "main.py", "--competition", "Mine", *QUICK, **home)
    assert asked.returncode == 1
    assert "There is no train.csv" in asked.stderr and "label column" not in asked.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_a_second_run_is_refused_by_the_name_of_the_first_and_a_lost_terminal_says_how_to_go_on(project):
    words = [sys.executable, "-u", "main.py", "--competition", "Tiny", *QUICK, "-e", "5000"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    with subprocess.Popen(words, cwd=project, env=environment, text=True, encoding="utf-8",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:  # fmt: skip
        shown = next((line for line in first.stdout if "epoch" in line and "valid" in line), "")
        second = python(project, *words[2:])
        first.send_signal(signal.SIGHUP)
        try:
            _, ended = first.communicate(timeout=120)
        finally:
            first.kill()
    assert shown
    assert second.returncode == 1 and "Traceback" not in second.stderr
    assert "Another run is writing into" in second.stderr and f"process {first.pid} since" in second.stderr
    assert (first.returncode, "Traceback" in ended) == (128 + signal.SIGHUP, False), ended
    assert "stopped; what was done is kept. Go on with: " in ended and "--resume" in ended


def test_a_table_of_answers(project):
    assert python(project, "main.py", "--competition", "Tiny", *QUICK, "--only-fold", "0").returncode == 0
    for source in ("data/input/Tiny/image", "data/input/Tiny/train.csv"):
        done = python(project, "-m", "recipe", "predict", source, "--out", "answers.csv", "--probs")
        assert done.returncode == 0, done.stderr
        lines = (project / "answers.csv").read_text(encoding="utf-8").splitlines()
        assert lines[0] == "image_path,label,p_0,p_1,p_2"
        assert len(lines) == 37


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--competition", "Tiny", "-b", "0"), "batch_size: '0' is refused"),
        (
            ("--competition", "Tiny", "--backbone", "efficientnet_b66"),
            "unknown backbone 'efficientnet_b66'. Did you mean",
        ),
        (("--competition", "Tiny", "--loss", "focl()"), "Did you mean 'focal'"),
        (("--competition", "Nowhere"), "Nowhere"),
        (("--competition", "Tiny", "--profile", "gpu"), "unknown profile 'gpu'"),
        (("--competition", "Tiny", "--device", "cuda:9"), "device 'cuda:9' cannot be used here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_starts_end_with_a_sentence_and_1(project, words, message):
    done = python(project, "main.py", *QUICK, *words)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_no_data_id(project):
    (project / "app.yaml").write_text("competition: {id: }\nprofiles: {cpu: {}}\n", encoding="utf-8")
    done = python(project, "main.py")
    assert (done.returncode, "name the competition's data id" in done.stderr) == (1, True), done.stderr


def test_weights_out_of_reach(project):
    words = [word for word in FAST if word not in ("--pretrained", "false")]
    done = python(project, "main.py", "--competition", "Tiny", *words, HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "--weights FILE_OR_FOLDER" in done.stderr
    assert "Traceback" not in done.stderr


def test_predictor_before_training(project):
    done = python(project, "-c", "from prediction import Predictor; Predictor()")
    assert "train first: python main.py" in done.stderr


@pytest.mark.skipif(
    os.name == "nt" or (hasattr(os, "geteuid") and os.geteuid() == 0),
    reason="root and Windows write to read-only folders",
)
def test_a_read_only_model_path(project):
    target = project / "data" / "output"
    target.mkdir(parents=True)
    target.chmod(0o500)
    done = python(project, "main.py", "--competition", "Tiny", *QUICK)
    assert (done.returncode, "cannot write" in done.stderr) == (1, True), done.stderr


def test_an_output_that_cannot_be_a_folder(project):
    (project / "file").write_text("", encoding="utf-8")
    done = python(project, "main.py", "--competition", "Tiny", *QUICK, "--output", "file/model")
    assert (done.returncode, "cannot write" in done.stderr) == (1, True), done.stderr


def test_unreadable_pictures_are_named_and_left_out_or_refused(project):
    bad = project / "data" / "input" / "Tiny" / "image" / "004.png"
    bad.write_bytes(bad.read_bytes()[:60])
    done = python(project, "main.py", "--competition", "Tiny", *QUICK, "--only-fold", "0")
    assert done.returncode == 0, done.stderr
    assert "004.png" in done.stdout
    assert "pictures 35 of 3 classes" in done.stdout
    strict = python(project, "main.py", "--competition", "Tiny", *QUICK, "--strict")
    assert (strict.returncode, "004.png" in strict.stderr) == (1, True)


def test_a_csv_without_the_label_column(project):
    csv = project / "data" / "input" / "Tiny" / "train.csv"
    csv.write_text(csv.read_text(encoding="utf-8").replace("label", "lable", 1), encoding="utf-8")
    done = python(project, "main.py", "--competition", "Tiny", *QUICK)
    assert (done.returncode, "lable" in done.stderr and "label" in done.stderr) == (1, True), done.stderr
