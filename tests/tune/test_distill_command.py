"""One network in place of a run's folds: who is trained on what, what is compared, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.torch import load_file

from prediction import Predictor
from recipe import prepare
from recipe.__main__ import main
from recipe.components.metrics import METRICS
from recipe.config import Config
from recipe.data.reading import read
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.runs.folder import open_run_folder
from recipe.train import cross_validate
from recipe.training.run import Prepared
from recipe.tune import before_after, student
from recipe.tune.student import DistillError, lesson_of, write_average

ROOT = Path(__file__).resolve().parents[2]
FAST = Config(
    backbone="test_efficientnet",
    pretrained=False,
    image_size=32,
    epochs=2,
    batch_size=12,
    folds=3,
    memory_format="contiguous",
    optimizer="adamw()",
    lr=0.01,
    augment="hflip()",
    views="identity()",
    workers=1,
)
STAND_IN = {
    "import_seconds": 1.0,
    "load_seconds": 0.2,
    "single_ms": 20.0,
    "batch_ms": 8.0,
    "passes": 2,
    "device": "cpu",
    "peak_mb": 300.0,
}


@pytest.fixture
def teacher(competition, tmp_path):
    return trained(competition, tmp_path / "model", FAST)


@pytest.fixture
def unmeasured(monkeypatch):
    """Sizes are counted, times are not taken."""
    monkeypatch.setattr(before_after, "measure", lambda folder, runtime="auto": STAND_IN)


def trained(competition, folder, config):
    table = read(competition)
    begun = start(config, len(table.classes))
    cross_validate(Prepared(begun, table, Pictures(table.paths, short_side(begun.preprocessing))), folder)
    return folder


def table_of(folder) -> dict[str, dict[str, str]]:
    return {row["what"]: row for row in json.loads((folder / "distill.json").read_text(encoding="utf-8"))}


def test_a_student_is_trained_on_the_other_folds_and_judged_on_its_own(
    teacher, competition, tmp_path, unmeasured, capsys
):
    assert (
        main(
            [
                "distill",
                str(teacher),
                "--fold",
                "1",
                "--epochs",
                "1",
                "--test",
                str(competition / "train.csv"),
                "--no-report",
            ]
        )
        == 0
    )
    student = tmp_path / "model-student"
    run, own = open_run_folder(teacher), open_run_folder(student)
    held = np.flatnonzero(run.fold_of == 1)
    assert np.array_equal(own.rows, held) and [folder.name for folder, _ in own.folds] == ["fold1"]
    rows = table_of(student)
    judged = rows[f"accuracy, {len(held)} rows of fold 1: its own network | student"]
    totals = json.loads((student / "metrics.json").read_text(encoding="utf-8"))
    assert float(judged["after"]) == pytest.approx(totals["oof"], abs=1e-4)
    assert float(judged["before"]) == pytest.approx(
        json.loads((teacher / "metrics.json").read_text("utf-8"))["folds"]["1"]["score"], abs=1e-4
    )
    assert (rows["networks"]["before"], rows["networks"]["after"], rows["networks"]["difference"]) == (
        "3",
        "1",
        "x 0.33",
    )
    tested = rows["accuracy, 36 pictures of train.csv: 3 networks | one"]
    table, answers = read(competition), Predictor(student).predict_proba(read(competition).paths)
    assert float(tested["after"]) == pytest.approx(METRICS["accuracy"](table.labels, answers), abs=1e-4)
    printed = capsys.readouterr().out
    assert "36 of the 36 pictures" in printed and "the scores flatter" in printed and "model-student" in printed


def test_the_student_s_folder_is_that_of_any_run(teacher, competition, tmp_path, unmeasured, capsys):
    assert main(["distill", str(teacher), "--out", str(tmp_path / "one"), "--epochs", "1", "--no-report"]) == 0
    assert main(["tune", str(tmp_path / "one"), "--temperature", "--device", "cpu"]) == 0
    assert main(["evaluate", str(competition / "train.csv"), "--run", str(tmp_path / "one"), "--no-page"]) == 0
    assert len(list(Predictor(tmp_path / "one").predict_many(read(competition).paths[:3]))) == 3
    assert (
        main(["distill", str(teacher), "--out", str(tmp_path / "one"), "--epochs", "1", "--no-report", "--resume"]) == 0
    )
    capsys.readouterr()


def test_the_teacher_teaches_out_of_fold_and_settings_are_those_of_the_run(teacher, competition):
    run = open_run_folder(teacher)
    task = lesson_of(run, run.table(None), 2, {"teacher_weight": "0.9", "epochs": "7"})
    assert task.config.teacher == str((teacher / "oof.csv").resolve())
    assert (task.config.teacher_weight, task.config.epochs, task.config.lr) == (0.9, 7, FAST.lr)
    assert set(task.fold.train_rows) | set(task.fold.valid_rows) == set(range(36)) and not set(
        task.fold.train_rows
    ) & set(task.fold.valid_rows)
    assert np.array_equal(task.fold.valid_rows, np.flatnonzero(run.fold_of == 2))


def test_what_nothing_can_learn_from_is_refused(teacher, tmp_path, capsys):
    assert main(["distill", str(teacher), "--fold", "3"]) == 1
    assert "--fold 3 was not trained" in capsys.readouterr().err
    assert main(["distill", str(teacher), "--batch-size", "0"]) == 1
    assert "batch_size" in capsys.readouterr().err
    assert main(["distill", str(tmp_path / "nowhere")]) == 1
    oof = teacher / "oof.csv"
    lines = oof.read_text(encoding="utf-8").splitlines()
    oof.write_text(
        "\n".join([lines[0], *(",".join([*line.split(",")[:2], "", "", "", ""]) for line in lines[1:3]), *lines[3:]])
        + "\n",
        "utf-8",
    )
    run = open_run_folder(teacher)
    with pytest.raises(DistillError, match=r"2 rows of .* have no out-of-fold answer"):
        lesson_of(run, run.table(None), 1, {})


def test_a_mean_of_folds_needs_pictures_that_no_fold_has_seen_and_a_common_start(teacher, capsys, competition):
    assert main(["distill", str(teacher), "--average"]) == 1
    assert "has seen every row" in capsys.readouterr().err
    assert main(["distill", str(teacher), "--average", "--test", str(competition / "train.csv")]) == 1
    assert "began from random weights" in capsys.readouterr().err


@pytest.fixture
def fine_tuned(competition, tmp_path):
    config = Config(
        backbone="tf_efficientnet_lite0",
        image_size=32,
        epochs=1,
        batch_size=12,
        folds=2,
        memory_format="contiguous",
        optimizer="sgd()",
        lr=1e-4,
        views="identity()",
        workers=1,
    )
    return trained(competition, tmp_path / "fine", config)


def test_a_mean_of_folds_is_kept_where_it_is_no_worse_and_removed_where_it_is(
    fine_tuned, competition, tmp_path, unmeasured, capsys, monkeypatch
):
    words = ["distill", str(fine_tuned), "--average", "--test", str(competition / "train.csv"), "--device", "cpu"]
    assert main(words) == 0
    mean = tmp_path / "fine-average"
    first, second, ours = (
        load_file(f / "model.safetensors") for f in (fine_tuned / "fold0", fine_tuned / "fold1", mean / "fold0")
    )
    key = "head.classifier.weight"
    assert np.allclose(ours[key], (first[key] + second[key]) / 2, atol=1e-6)
    assert table_of(mean)["networks"]["after"] == "1"
    assert len(list(Predictor(mean, "cpu").predict_many(read(competition).paths[:2]))) == 2
    assert main(words) == 1 and "is not empty" in capsys.readouterr().err
    shutil.rmtree(mean)
    monkeypatch.setattr(
        before_after, "paired_answers", lambda *words, **more: before_after.Comparison(0.1, -0.6, 0.001)
    )
    assert main(words) == 1
    assert "the mean of the folds is refused" in capsys.readouterr().err and not mean.exists()


@pytest.mark.limit("recipe.tune.student", "write_average")
def test_the_mean_of_identical_folds_is_each_of_them(fine_tuned, tmp_path):
    shutil.copyfile(fine_tuned / "fold0" / "model.safetensors", fine_tuned / "fold1" / "model.safetensors")
    write_average(fine_tuned, tmp_path / "mean")
    one, mean = (load_file(folder / "fold0" / "model.safetensors") for folder in (fine_tuned, tmp_path / "mean"))
    assert all((one[key] == mean[key]).all() for key in one)


def test_both_are_measured_in_the_same_runtime(teacher, competition, tmp_path, monkeypatch):
    """An exported student is not compared with a teacher in torch."""
    student, asked = trained(competition, tmp_path / "student", FAST.model_copy(update={"folds": 2})), []

    def measured(folder, runtime="auto"):
        asked.append((folder.name, runtime))
        return STAND_IN | {"device": "OpenVINO 1, onnx" if (folder, runtime) == (student, "auto") else "torch, cpu"}

    monkeypatch.setattr(before_after, "measure", measured)
    rows = {row[0]: row for row in before_after.costs(teacher, student)}
    assert rows["answered by"][1:3] == ("torch, cpu", "torch, cpu")
    assert asked == [("model", "auto"), ("student", "auto"), ("model", "torch"), ("student", "torch")]
    asked.clear()
    before_after.costs(teacher, teacher)
    assert asked == [("model", "auto")] * 2


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux passes the parent's peak on to its children"
)
def test_the_peak_memory_is_that_of_the_child_alone():
    """However much the process held that started it."""
    program = "from recipe.report.measure import peak_mb; print(peak_mb())"
    held = np.ones(300 * 2**20, np.uint8)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 1 < float(done.stdout) < held.nbytes / 2**20 / 2


def test_size_and_time_are_measured_in_a_process_of_its_own(teacher):
    rows = {row[0]: row for row in before_after.costs(teacher, teacher)}
    assert float(rows["one picture, ms"][1]) > 0 and float(rows["load the networks, s"][1]) > 0
    assert rows["parameters, million"][3] == "x 1.00" and rows["networks x views of one answer"][1:3] == ("3", "3")


def test_the_student_s_pictures_are_kept_as_the_settings_say(monkeypatch):
    """On the disk as well as in memory: `train_student` takes the cache that `prepare` makes."""
    given = []
    start = SimpleNamespace(preprocessing=SimpleNamespace(size=32, crop_pct=1.0, resize_to=32))
    monkeypatch.setattr(student, "start", lambda config, classes: start)
    monkeypatch.setattr(student, "cross_validate", lambda prepared, *a, **k: given.append(prepared.pictures))
    monkeypatch.setattr(prepare, "short_side", lambda preprocessing: 32)
    task = student.Lesson(Config(cache_mb=3, cache_disk_mb=5), SimpleNamespace(paths=[], classes=("a",)), None)
    student.train_student(task, Path("out"), "accuracy")
    assert (given[0]._cache.limit, given[0]._cache.disk_limit) == (3 * 2**20, 5 * 2**20)
