"""evaluate scores a table as a person would by hand; TensorBoard events hold what log.jsonl holds."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from run_lab import TINY, run

from recipe.__main__ import main
from recipe.data.reading import read
from recipe.report.sections import cost
from recipe.runs.trackers.to_tensorboard import write_events
from recipe.serving.predict import Ensemble


@pytest.fixture(scope="module")
def trained(shared_competition, tmp_path_factory):
    """A run of two epochs that the tests share: each writes beside it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    run(shared_competition, folder, TINY.model_copy(update={"epochs": 2}))
    return folder


def test_scores_are_those_of_the_ensemble_and_the_page_is_there(competition, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        cost,
        "measure",
        lambda folder: {
            "import_seconds": 1,
            "load_seconds": 1,
            "single_ms": 1,
            "batch_ms": 1,
            "passes": 1,
            "device": "cpu",
            "peak_mb": None,
        },
    )
    assert (
        main(["evaluate", str(competition / "train.csv"), "--run", str(trained), "--out", str(tmp_path / "page")]) == 0
    )
    shown = capsys.readouterr().out
    table = read(competition)
    accuracy = float((Ensemble(trained).probs(table.paths).argmax(1) == table.labels).mean())
    with open(tmp_path / "page" / "report" / "metrics.csv", encoding="utf-8-sig", newline="") as stream:
        scores = {row["metric"]: float(row["score"]) for row in csv.DictReader(stream)}
    assert scores["accuracy"] == pytest.approx(accuracy, abs=1e-4) and f"{accuracy:.4f}" in shown
    text = (tmp_path / "page" / "evaluation.html").read_text(encoding="utf-8")
    assert (
        "36 of the 36 pictures bear the name of one the run was trained on" in text
        and "This part is left out" not in text
    )
    assert "train.csv, answered by run" in text


def test_unknown_labels_are_named_and_left_out(competition, trained, capsys):
    table = competition / "more.csv"
    table.write_text("image_path,label\n./image/000.png,0\n./image/001.png,1\n./image/002.png,7\n", encoding="utf-8")
    assert main(["evaluate", str(table), "--run", str(trained), "--no-page"]) == 0
    shown = capsys.readouterr().out
    assert "'7'" in shown and "accuracy" in shown


def test_refusals_are_sentences(competition, trained, tmp_path, capsys):
    assert main(["evaluate", str(competition / "train.csv"), "--run", str(tmp_path)]) == 1
    assert "train first" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "no.csv"), "--run", str(trained)]) == 1
    assert "no.csv" in capsys.readouterr().err


def test_events_hold_scalars_images_and_settings(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (trained / "report").mkdir()
    import cv2

    cv2.imwrite(str(trained / "report" / "chart.png"), np.zeros((4, 4, 3), np.uint8))
    folder = write_events(trained)
    logs = [json.loads(line) for line in (trained / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    for fold in (0, 1):
        events = EventAccumulator(str(folder / f"fold{fold}")).Reload()
        losses = [event.value for event in events.Scalars("loss/valid")]
        assert losses == pytest.approx([log["valid_loss"] for log in logs if log["fold"] == fold])
    assert EventAccumulator(str(folder / "report")).Reload().Tags()["images"] == ["chart"]
    settings = EventAccumulator(str(folder / "settings")).Reload()
    assert "_hparams_/session_start_info" in settings.summary_metadata
    assert settings.Scalars("hparam/oof")[0].value == pytest.approx(
        json.loads((trained / "metrics.json").read_text(encoding="utf-8"))["oof"]
    )
