"""The experiment record: nothing is lost or torn, and questions are answered or refused in a sentence."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recipe.__main__ import main
from recipe.components.metrics import METRICS, metric
from recipe.runs import record
from recipe.runs.record import ordered

ROOT = Path(__file__).resolve().parents[2]


def finished(folder: Path, score: float = 0.9, began: float = 1e9, metric: str = "accuracy", **settings) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = {"backbone": "b", "lr": 0.01, "seed": 0} | settings
    info = {"config": config, "classes": ["a"], "fingerprint": "abcdef123456", "commit": "c0ffee", "began": began}
    totals = {
        "metric": metric,
        "oof": score,
        "mean": score,
        "std": 0.01,
        "probe_oof": None,
        "folds": {"0": {}},
        "seconds": 61.0,
    }
    (folder / "run.json").write_text(json.dumps(info), encoding="utf-8")
    (folder / "metrics.json").write_text(json.dumps(totals), encoding="utf-8")
    return folder


@pytest.fixture
def runs(tmp_path):
    for place, (score, lr) in enumerate([(0.8, 0.01), (0.95, 0.1), (0.9, 0.01)]):
        record.append(finished(tmp_path / f"run{place}", score, 1e9 + 60 * place, lr=lr))
    return tmp_path / record.FILE


def test_a_row_has_the_facts_and_the_settings(tmp_path):
    row = record.append(finished(tmp_path / "model", 0.9, lr=0.5))
    assert (row["score"], row["std"], row["seconds"], row["commit"], row["folds"]) == (0.9, 0.01, 61.0, "c0ffee", 1)
    assert row["settings"]["lr"] == 0.5
    assert record.read(tmp_path / "runs.jsonl") == [row]


def test_the_csv_shows_the_settings_that_differ(runs):
    header, *rows = csv.reader(io.StringIO(runs.with_suffix(".csv").read_text(encoding="utf-8")))
    assert header[: len(record.FACTS)] == list(record.FACTS) and header[len(record.FACTS) :] == ["lr"]
    assert [row[-1] for row in rows] == ["0.01", "0.1", "0.01"]


def test_runs_that_finish_together_are_all_there(tmp_path):
    folders = [finished(tmp_path / f"run{place}", place / 100) for place in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(record.append, folders))
    assert sorted(row["score"] for row in record.read(tmp_path / record.FILE)) == [place / 100 for place in range(40)]


def test_a_torn_line_costs_nothing_but_itself(runs, tmp_path):
    with open(runs, "a", encoding="utf-8") as stream:
        stream.write('{"run": "torn')
    record.append(finished(tmp_path / "after", 0.5))
    assert [row["score"] for row in record.read(runs)] == [0.8, 0.95, 0.9, 0.5]


def test_sorting_puts_the_best_first_and_losses_lowest_first(runs, tmp_path):
    rows = record.read(runs)
    assert [row["score"] for row in record.ordered(rows, "score")] == [0.95, 0.9, 0.8]
    assert [row["score"] for row in record.ordered(rows, "score", reverse=True)] == [0.8, 0.9, 0.95]
    losses = [row | {"metric": "log_loss"} for row in rows]
    assert [row["score"] for row in record.ordered(losses, "score")] == [0.8, 0.9, 0.95]


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("score>=0.9", [0.95, 0.9]),
        ("lr=0.01", [0.8, 0.9]),
        ("lr!=0.01", [0.95]),
        ("backbone=B*", [0.8, 0.95, 0.9]),
        ("seed<0", []),
    ],
)
def test_filters(runs, condition, kept):
    assert [row["score"] for row in record.filtered(record.read(runs), [condition])] == kept


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--filter", "score"], "cannot be read; write NAME"),
        (["--filter", "scroe>1"], "Did you mean 'score'"),
        (["--sort", "leraning"], "no column 'leraning'"),
        (["--diff", "x", "-1"], "no run begins with 'x'"),
        (["--diff", "2001", "-1"], "3 runs begin with '2001'"),
    ],
)
def test_refusals_are_sentences(runs, capsys, words, sentence):
    assert main(["runs", "--records", str(runs), *words]) == 1
    assert sentence in capsys.readouterr().err


def test_no_record_yet(tmp_path, capsys):
    assert main(["runs", "--records", str(tmp_path / "runs.jsonl")]) == 1
    assert "begins with the first finished run" in capsys.readouterr().err


def test_the_terminal_shows_what_differs(runs, capsys):
    assert main(["runs", "--records", str(runs), "--sort", "score", "--limit", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "competition", "metric", "score", "mean", "std", "seconds", "commit", "lr"]
    assert "0.9500" in lines[1] and "1 min 01 s" in lines[1]
    assert main(["runs", "--records", str(runs), "--diff", "0", "-1"]) == 0
    shown = capsys.readouterr().out
    assert "0.8000" in shown and "0.9000" in shown and "lr" not in shown


def test_csv_and_html(runs, tmp_path, capsys):
    assert main(["runs", "--records", str(runs), "--csv", "--columns", "seed", "lr"]) == 0
    assert next(csv.reader(io.StringIO(capsys.readouterr().out)))[-2:] == ["seed", "lr"]
    assert main(["runs", "--records", str(runs), "--html", str(tmp_path / "page" / "runs.html")]) == 0
    text = (tmp_path / "page" / "runs.html").read_text(encoding="utf-8")
    assert "hsl(120 60% 50%" in text and "hsl(0 60% 50%" in text and "http" not in text and text.count("<tr>") == 4


def test_a_thousand_records_need_no_heavy_library(runs, tmp_path):
    line = runs.read_text(encoding="utf-8").splitlines()[0]
    many = tmp_path / "many.jsonl"
    many.write_text((line + "\n") * 1000, encoding="utf-8")
    script = (
        "import sys; from recipe.__main__ import main; code = main(['runs', '--records', sys.argv[1]]); "
        "print(sorted({'torch', 'pandas', 'sklearn', 'matplotlib', 'cv2', 'numpy'} & set(sys.modules))); sys.exit(code)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(many)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        check=True,
    )
    assert answer.stdout.splitlines()[-1] == "[]" and "1000 of 1000 runs" in answer.stdout


@pytest.mark.parametrize(("higher", "best"), [(True, 0.9), (False, 0.1)])
def test_a_metric_that_is_registered_today_is_sorted_by_its_own_direction(monkeypatch, higher, best):
    monkeypatch.setattr(METRICS, "_components", dict(METRICS._components))

    @metric(higher_is_better=higher)
    def newcomer(labels, probs, /):
        return 0.0

    rows = [{"metric": "newcomer", "score": score, "settings": {}, "fingerprint": ""} for score in (0.5, 0.1, 0.9)]
    assert ordered(rows, "score")[0]["score"] == best
    assert ordered(rows, "score", reverse=True)[0]["score"] == pytest.approx(1 - best)


def test_a_metric_of_another_version_is_sorted_as_most_are():
    rows = [{"metric": "not known here", "score": score, "settings": {}, "fingerprint": ""} for score in (0.1, 0.9)]
    assert ordered(rows, "score")[0]["score"] == 0.9


def test_runs_are_ranked_within_one_competition_and_metric(tmp_path, capsys):
    """A loss of 0.2 on one set says nothing about an accuracy of 0.9 on another."""
    from recipe.commands.runs import tints

    for place, (entered, name, score) in enumerate(
        [("Birds", "accuracy", 0.8), ("Cats", "log_loss", 0.9), ("Birds", "accuracy", 0.9), ("Cats", "log_loss", 0.2)]
    ):
        folder = finished(tmp_path / f"run{place}", score, 1e9 + 60 * place, name)
        about = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps(about | {"competition": {"id": entered}}))
        record.append(folder)
    rows = record.read(tmp_path / record.FILE)
    assert [row["score"] for row in ordered(rows, "score")] == [0.9, 0.8, 0.2, 0.9]
    green, red = tints(rows, "score", [])[2], tints(rows, "score", [])[0]
    assert tints(rows, "score", []) == [red, red, green, green] and green != red
    assert main(["runs", "--records", str(tmp_path / record.FILE), "--competition", "Cats"]) == 0
    shown = capsys.readouterr().out
    assert "Cats" in shown and "Birds" not in shown and "2 of 4 runs" in shown
