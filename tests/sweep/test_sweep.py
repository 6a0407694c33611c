"""Sweeps: what is enumerated, what is refused, and that nothing is run twice or lost, whoever is killed."""

from __future__ import annotations

import collections
import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import UserError
from protocol.strict import ConfigError
from recipe.sweep.engine import Sweep, run_sweep
from recipe.sweep.file import read_sweep
from recipe.sweep.journal import SweepJournal
from recipe.sweep.page import terminal, write_markdown, write_tables
from recipe.sweep.pictures import curves, short_labels, write_pictures
from recipe.sweep.rows import listed_rows, tasks_of
from recipe.sweep.summary import RowResult, Summary, summarise
from recipe.tune.significance import holm, paired_scores, verdict

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from sweep_lab import Arithmetic

LAB = Path(__file__).resolve().parents[1] / "sweep_lab.py"
GRID = (
    "name: try\ndata: nowhere\nsettings: {epochs: 2}\nspace: {lr: [0.001, 0.01, 0.1], weight_decay: [0, "
    "0.001]}\nseeds: [0, 1]\n"
)


def written(tmp_path, text, name="sweep.yaml"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_sweep(tmp_path / name)


def lab(tmp_path, text=GRID, **how):
    folder = tmp_path / "out"
    return Sweep(written(tmp_path, text), folder, Arithmetic(folder / "ran.log", **how))


def ends(folder):
    """Task to how often it came to its end, and (task, epoch) to how often it was run."""
    lines = [line.split() for line in (folder / "ran.log").read_text(encoding="utf-8").splitlines()]
    finished = collections.Counter(words[1] for words in lines if words[0] == "end")
    epochs = collections.Counter((words[1], words[2]) for words in lines if words[0] == "epoch")
    return finished, epochs


# --- what is tried ---


def test_a_grid_is_the_product_and_a_task_is_a_row_under_a_seed(tmp_path):
    file = written(tmp_path, GRID)
    rows = listed_rows(file)
    assert [row.settings for row in rows] == [
        {"lr": lr, "weight_decay": decay} for lr in (0.001, 0.01, 0.1) for decay in (0, 0.001)
    ]
    assert rows[1].name == "lr=0.001, weight_decay=0.001"
    tasks = [task for row in rows for task in tasks_of(row, file)]
    assert len({task.key for task in tasks}) == 12
    assert [task.config.seed for task in tasks[:2]] == [0, 1]
    assert all(task.config.epochs == 2 for task in tasks)


def test_the_key_depends_on_what_is_computed_not_on_the_machine(tmp_path):
    file = written(tmp_path, GRID)
    other = read_sweep(tmp_path / "sweep.yaml", settings={"workers": 3, "cache_mb": "10"})
    more = read_sweep(tmp_path / "sweep.yaml", settings={"epochs": 3})
    key, same, changed = (tasks_of(listed_rows(each)[0], each)[0].key for each in (file, other, more))
    assert key == same != changed


def test_random_rows_are_within_range_and_more_trials_extend_fewer(tmp_path):
    text = "name: r\ndata: d\nsearch: random\ntrials: {}\nspace:\n"
    text += (
        "  lr: {{low: 1.0e-4, high: 0.1, log: true}}\n  epochs: {{low: 2, high: 5}}\n  optimizer: [adamw(), sgd()]\n"
    )
    few, many = (listed_rows(written(tmp_path, text.format(trials))) for trials in (6, 40))
    assert many[:6] == few
    assert len(many) == 40
    rates = np.array([row.settings["lr"] for row in many])
    assert rates.min() >= 1e-4
    assert rates.max() <= 0.1
    assert 0.2 < (rates < math.sqrt(1e-4 * 0.1)).mean() < 0.8, "even over the logarithm"
    assert {row.settings["epochs"] for row in many} == {2, 3, 4, 5}
    assert {row.settings["optimizer"] for row in many} == {"adamw()", "sgd()"}


def test_random_search_in_a_small_space_tries_nothing_twice(tmp_path):
    file = written(tmp_path, "name: r\ndata: d\nsearch: random\ntrials: 9\nspace: {lr: [0.1, 0.2], folds: [2, 3]}\n")
    assert len(listed_rows(file)) == 4


def test_tpe_finds_the_top_of_a_smooth_function(tmp_path):
    text = (
        "name: t\ndata: d\nsearch: tpe\ntrials: 25\nsettings: {epochs: 1}\nspace: {lr: {low: 1.0e-5, high: 1.0, "
        "log: true}}\n"
    )
    sweep = lab(tmp_path, text)
    run_sweep(sweep)
    state = sweep.journal.read()
    assert len(state.rows) == 25
    best = summarise(sweep).best
    assert 1e-3 < best.row.settings["lr"] < 1e-1
    late = [line["settings"]["lr"] for line in state.rows[12:]]
    assert np.median(np.abs(np.log10(late) + 2)) < 1.0, "TPE draws near the top, chance would draw 1.3 away"
    run_sweep(sweep)
    assert sweep.journal.read() == state, "a finished search asks no more"


def test_an_equal_time_gives_slow_rows_fewer_epochs(tmp_path):
    text = (
        "name: e\ndata: d\nsettings: {epochs: 8, mix_off_epochs: 5}\nat_equal_time: {row: plain}\nseeds: [0, 1]\n"
        "rows:\n  plain: {optimizer: adamw()}\n  sam: {optimizer: sam(adamw())}\n"
    )
    sweep = lab(tmp_path, text)
    run_sweep(sweep)
    chosen = {row.row.name: {task.config.epochs for task in row.tasks} for row in summarise(sweep).rows}
    assert chosen == {"plain": {8}, "sam": {4}}
    assert sum(ends(sweep.folder)[0].values()) == 4
    sam = next(row for row in summarise(sweep).rows if row.row.name == "sam")
    assert sam.tasks[0].config.mix_off_epochs == 3, "a stage is never longer than the run"


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GRID + "sedes: [1]\n", "unknown key 'sedes'. Did you mean 'seeds'"),
        (GRID.replace("weight_decay", "weigth_decay"), "unknown setting 'weigth_decay'. Did you mean 'weight_decay'"),
        (GRID.replace("epochs: 2", "epoch: 2"), "unknown setting 'epoch'. Did you mean 'epochs'"),
        (GRID + "rows: {a: {lr: 1}}\n", "either space or rows"),
        (GRID + "search: anneal\n", "'anneal' is refused"),
        (GRID.replace("seeds: [0, 1]", "seeds: [1, 1]"), "a seed is there twice"),
        (GRID.replace("lr:", "seed: [1], lr:"), "list the seeds under seeds"),
        (GRID.replace("[0.001, 0.01, 0.1]", "{low: 0.1, high: 1}"), "is an interval, which a grid cannot list"),
        (GRID.replace("[0.001, 0.01, 0.1]", "{low: 1, high: 0.1}") + "search: random\n", "are no interval"),
        (GRID.replace("[0.001, 0.01, 0.1]", "[]"), "has no values"),
        (GRID + "at_equal_time: {row: a, seconds: 3}\n", "either row or seconds"),
        (GRID + "search: tpe\nat_equal_time: {seconds: 3}\n", "tpe does not know them yet"),
        ("name: a\ndata: d\nrows: {mixup: {}, plain: {}}\nbaseline: mix_up\n", "no row 'mix_up'. Did you mean 'mixup'"),
        ("name: a/b\ndata: d\nrows: {a: {}}\n", "name: 'a/b' is refused"),
        ("- 1\n", "holds no sweep"),
        ("a: [\n", "is not YAML"),
    ],
)  # fmt: skip
def test_a_file_is_checked_whole(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        written(tmp_path, text)


def test_every_row_is_checked_before_the_first_is_run(tmp_path):
    for text, message in (
        ("lr: [0.1, -1]", "row lr=-1: lr: -1"),
        ("loss: [ce(), focall()]", "loss: unknown loss 'focall'"),
    ):
        sweep = lab(tmp_path, f"name: c\ndata: d\nspace: {{{text}}}\n".replace("{{", "{").replace("}}", "}"))
        with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
            run_sweep(sweep)
        assert not (sweep.folder / "ran.log").exists()


def test_extends_takes_over_another_file(tmp_path):
    written(tmp_path, GRID, "base.yaml")
    file = written(tmp_path, "extends: base.yaml\nname: other\nat_equal_time: {seconds: 5}\n")
    assert (file.name, len(listed_rows(file)), file.at_equal_time.seconds) == ("other", 6, 5)
    with pytest.raises(ConfigError, match="in a circle"):
        written(tmp_path, "extends: sweep.yaml\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_sweep(tmp_path / "absent.yaml")


def test_other_data_in_the_same_folder_is_refused(tmp_path):
    run_sweep(lab(tmp_path))
    with pytest.raises(ConfigError, match="other data or with another metric"):
        run_sweep(lab(tmp_path, fingerprint="b"))


# --- the journal ---


def test_a_torn_last_line_does_not_count_and_is_cut_off(tmp_path):
    journal = SweepJournal(tmp_path)
    journal.write("row", row="a", settings={})
    with open(journal.path, "ab") as stream:
        stream.write(b'{"event": "row", "row": "half')
    assert [line["row"] for line in journal.read().rows] == ["a"]
    journal.write("row", row="b", settings={})
    assert [line["row"] for line in journal.read().rows] == ["a", "b"]
    journal.path.write_bytes(b"no json\n" + journal.path.read_bytes())
    with pytest.raises(ConfigError, match="line 1 is not JSON"):
        SweepJournal(tmp_path).read()


def test_a_claim_is_held_by_one_and_freed_by_death(tmp_path):
    code = "import sys, time; from pathlib import Path; from recipe.sweep.journal import SweepJournal; " \
           "held = SweepJournal(Path(sys.argv[1])).claim('b'); print(held is not None); time.sleep(60)"  # fmt: skip
    holder = subprocess.Popen([sys.executable, "-u", "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True,
                              cwd=LAB.parent.parent)  # fmt: skip
    assert holder.stdout.readline() == "True\n"
    journal = SweepJournal(tmp_path)
    assert journal.claim("b") is None
    holder.kill()
    holder.communicate()
    held = journal.claim("b")
    assert held is not None and journal.claim("b") is None and journal.claim("a") is not None
    held.release()
    assert journal.claim("b") is not None


def test_a_finished_sweep_runs_nothing_again(tmp_path):
    sweep = lab(tmp_path)
    run_sweep(sweep)
    before = sweep.journal.path.read_bytes()
    run_sweep(lab(tmp_path))
    assert sweep.journal.path.read_bytes() == before
    finished, _ = ends(sweep.folder)
    assert len(finished) == 12
    assert set(finished.values()) == {1}


def test_a_larger_file_runs_only_what_is_new(tmp_path):
    run_sweep(lab(tmp_path))
    sweep = lab(tmp_path, GRID.replace("[0, 1]", "[0, 1, 2]"))
    run_sweep(sweep)
    finished, _ = ends(sweep.folder)
    assert len(finished) == 18
    assert set(finished.values()) == {1}


def test_a_failed_row_does_not_end_the_others_and_is_tried_again_when_asked(tmp_path):
    text = GRID.replace("0.1]", "9.0]")
    sweep = lab(tmp_path, text)
    run_sweep(sweep)
    failed = [row for row in summarise(sweep).rows if row.count("failed")]
    assert [row.row.settings["lr"] for row in failed] == [9.0, 9.0]
    assert "failed: RuntimeError: the loss is nan" in terminal(summarise(sweep))
    claims = len(sweep.journal.read().tasks)
    run_sweep(lab(tmp_path, text))
    assert all(task.claims == 1 for task in sweep.journal.read().tasks.values())
    run_sweep(lab(tmp_path, text), retry=True)
    assert sorted(task.claims for task in sweep.journal.read().tasks.values()) == [1] * 8 + [2] * 4
    assert len(sweep.journal.read().tasks) == claims


def test_hopeless_rows_are_stopped(tmp_path):
    text = (
        "name: p\ndata: d\nsettings: {epochs: 6}\nspace: {lr: [0.01, 0.02, 0.005, 0.008, 1.0e-5, 0.012]}\n"
        "prune: {after_epochs: 2, after_rows: 3}\n"
    )
    sweep = lab(tmp_path, text)
    run_sweep(sweep)
    states = {row.row.settings["lr"]: row.states[0] for row in summarise(sweep).rows}
    assert states[1e-5].finished == "pruned"
    assert len(states[1e-5].epochs) == 2
    assert states[0.01].finished == "done"
    assert "1 stopped early" in terminal(summarise(sweep))


@pytest.mark.skipif(
    sys.platform == "win32", reason="process groups and SIGKILL are POSIX; the locks themselves are tested above"
)
def journalled(folder):
    """How many tasks the journal says are done; 0 before anything has run."""
    if not (folder / "ran.log").exists():
        return 0
    return (folder / "journal.jsonl").read_text(encoding="utf-8").count('"event": "done"')


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_half_way_loses_nothing_and_runs_nothing_twice(tmp_path, workers):
    written(tmp_path, GRID.replace("epochs: 2", "epochs: 3"))
    folder = tmp_path / "out"
    command = [sys.executable, str(LAB), str(tmp_path / "sweep.yaml"), str(folder), str(workers)]
    first = subprocess.Popen([*command, "0.15"], start_new_session=True, stdout=subprocess.DEVNULL)
    while not 5 <= journalled(folder) == sum(ends(folder)[0].values()):  # no end waits for its line in the journal
        assert first.poll() is None
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    for path in (folder / "claims").iterdir():  # until the system has taken the workers away
        lock = FileLock(path)
        lock.acquire()
        lock.release()
    stopped = sum(ends(folder)[0].values())
    assert 5 <= stopped < 12
    subprocess.run([*command, "0"], check=True, stdout=subprocess.DEVNULL, timeout=120)
    finished, epochs = ends(folder)
    assert len(finished) == 12
    assert set(finished.values()) == {1}, "every task came to its end once"
    repeated = [key for key, count in epochs.items() if count > 1]
    assert len(repeated) <= workers, "at most the epoch in flight of each worker is run again"
    assert len(epochs) == 36
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    done = collections.Counter(line["task"] for line in lines if line["event"] == "done")
    assert len(done) == 12
    assert set(done.values()) == {1}
    assert sum(line["event"] == "claim" for line in lines) <= 12 + workers


def test_two_workers_share_the_tasks(tmp_path):
    written(tmp_path, GRID)
    folder = tmp_path / "out"
    subprocess.run(
        [sys.executable, str(LAB), str(tmp_path / "sweep.yaml"), str(folder), "2", "0.1"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    finished, epochs = ends(folder)
    assert len(finished) == 12
    assert set(finished.values()) == {1}
    assert set(epochs.values()) == {1}
    workers = {line.split()[-1] for line in (folder / "ran.log").read_text(encoding="utf-8").splitlines()}
    assert len(workers) == 2


def done_tasks(folder: Path) -> collections.Counter[str]:
    """How often each task is noted as done in the journal."""
    journal = folder / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    events = [json.loads(line) for line in lines if line.endswith("}")]
    return collections.Counter(event["task"] for event in events if event["event"] == "done")


@pytest.mark.slow  # twelve real rows, each of two folds and two epochs
@pytest.mark.skipif(
    sys.platform == "win32", reason="process groups and SIGKILL are POSIX; the locks themselves are tested above"
)
def test_kill_9_half_way_through_twelve_real_rows(competition, tmp_path):
    """A tiny network: every row ends once, no epoch of a finished row is trained again, and table and heat map are
    whole.
    """
    settings = (
        "{backbone: test_efficientnet, pretrained: false, image_size: 32, epochs: 2, batch_size: 8, folds: 2, "
        "memory_format: contiguous, "
        "optimizer: adamw(), views: identity(), workers: 1, device: cpu}"
    )
    space = "{lr: [0.03, 0.01, 0.003, 0.001], weight_decay: [0.0, 0.001, 0.1]}"
    (tmp_path / "s.yaml").write_text(
        f"name: real\ndata: {competition.as_posix()}\nsettings: {settings}\nspace: {space}\n", encoding="utf-8"
    )
    folder = tmp_path / "data/output/sweeps/real"
    command = [sys.executable, "-m", "recipe", "sweep", "s.yaml"]
    environment = os.environ | {"PYTHONPATH": str(LAB.parent.parent), "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(done_tasks(folder)) < 5:
        assert first.poll() is None
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    before = done_tasks(folder)
    finished = {
        path: path.read_bytes()
        for path in folder.rglob("log.jsonl")
        if any(path.parent.name in task or task in str(path) for task in before)
    }
    assert 5 <= len(before) < 12
    second = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8", check=True
    )
    assert set(done_tasks(folder).values()) == {1} and len(done_tasks(folder)) == 12
    assert finished and all(path.read_bytes() == content for path, content in finished.items()), (
        "what was finished is left alone"
    )
    with open(folder / "summary.csv", encoding="utf-8", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 12
    assert (folder / "heat_map.png").stat().st_size > 5000
    assert second.stdout.count("lr=0.03, weight_decay=0.1") >= 1


# --- what is concluded ---


@pytest.mark.limit("recipe.tune.significance", "paired_scores")
def test_the_corrected_test_without_shared_rows_is_the_paired_t_test():
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.9, 0.02, 8), rng.normal(0.89, 0.02, 8)
    found = paired_scores(list(ours - theirs), 0.0)
    expected = ttest_rel(ours, theirs)
    assert found.p == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval(0.95)
    assert found.mean - found.half_width == pytest.approx(low)
    assert found.mean + found.half_width == pytest.approx(high)
    assert paired_scores(list(ours - theirs), 0.25).p > found.p, "shared rows make it more careful"


def test_the_corrected_test_holds_its_level_where_folds_share_rows():
    """Differences of folds that share a common part: the plain t-test cries wolf, the corrected one does not."""
    rng = np.random.default_rng(1)
    plain, corrected = 0, 0
    for _ in range(400):
        values = rng.normal(size=5) + rng.normal() * 0.5
        plain += paired_scores(list(values), 0.0).p < 0.05
        corrected += paired_scores(list(values), 0.25).p < 0.05
    assert plain / 400 > 0.08
    assert corrected / 400 < 0.06


def test_limits_of_the_comparison():
    assert math.isnan(paired_scores([0.1], 0.25).p)
    assert paired_scores([0.0, 0.0], 0.25).p == 1.0
    assert paired_scores([0.1, 0.1], 0.25).p == 0.0
    assert "one pair only" in verdict(paired_scores([0.1], 0.25), math.nan)
    found = paired_scores([0.1, 0.11, 0.1], 0.25)
    assert verdict(found, 0.01).startswith("better")
    assert verdict(found, 0.01, higher_is_better=False).startswith("worse")
    assert verdict(found, 0.2) == "no difference beyond seed noise"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_and_keeps_the_order(values):
    corrected = holm(values)
    assert all(after >= before for before, after in zip(values, corrected, strict=True))
    assert max(corrected) <= 1
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(np.array(corrected)[order]) >= 0)
    assert min(corrected) == pytest.approx(min(1, min(values) * len(values)))


def test_holm_of_a_known_case_and_of_nothing():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]) == [0.2]
    assert math.isnan(holm([math.nan, 0.1])[0])
    assert holm([math.nan, 0.1])[1] == 0.1


def test_the_table_says_what_differs_and_what_is_noise(tmp_path):
    text = "name: s\ndata: d\nsettings: {epochs: 1, folds: 2}\nspace: {lr: [0.01, 0.0101, 1.0e-4]}\nseeds: [0, 1, 2]\n"
    sweep = lab(tmp_path, text)
    run_sweep(sweep)
    summary = summarise(sweep)
    assert summary.baseline == "lr=0.01"
    assert [row.verdict.split()[0] for row in summary.rows] == ["baseline", "no", "worse"]
    far = summary.rows[2].difference
    assert far.pairs == 6
    assert far.mean == pytest.approx(-0.5, abs=0.01)
    assert "Worse than lr=0.01: lr=0.0001." in summary.sentence
    lines = terminal(summary).splitlines()
    assert "no difference beyond seed noise" in lines[2]
    pictures = write_pictures(sweep.folder, sweep.file, summary)
    assert [drawing.name for drawing in pictures] == ["scores", "curves"]
    assert all((sweep.folder / f"{drawing.name}.png").read_bytes().startswith(b"\x89PNG") for drawing in pictures)
    page = write_tables(sweep.folder, summary, pictures).read_text(encoding="utf-8")
    assert page.count("<svg ") == 2
    assert "http" not in page
    assert (sweep.folder / "runs.csv").read_text(encoding="utf-8").count("\n") == 10


def test_two_settings_make_a_heat_map_and_an_unfinished_sweep_is_no_error(tmp_path):
    sweep = lab(tmp_path)
    assert write_pictures(sweep.folder, sweep.file, summarise(sweep)) == []
    assert summarise(sweep).sentence == "No row is finished yet."
    task, lock = sweep.next()
    sweep.run(task)
    lock.release()
    assert "11 tasks are not finished" in summarise(sweep).sentence
    run_sweep(sweep)
    drawings = write_pictures(sweep.folder, sweep.file, summarise(sweep))
    assert [drawing.name for drawing in drawings] == ["heat_map", "curves"]
    assert (sweep.folder / "heat_map.png").read_bytes().startswith(b"\x89PNG")


def test_a_row_that_was_scored_at_its_start_alone_is_drawn_there():
    """Rows of 0 epochs have a score and no line of an epoch: they were missing from the curves."""
    done = SimpleNamespace(finished="done", ending={"score": 0.8, "scores": [0.75, 0.85]}, epochs={})
    trained = SimpleNamespace(finished="done", ending={"score": 0.9, "scores": [0.9]}, epochs={(0, 1): {"score": 0.9}})
    row = SimpleNamespace(name="-e 0")
    rows = tuple(RowResult(row, (), (state,)) for state in (done, trained))
    assert [row.curve() for row in rows] == [{0: [0.75, 0.85]}, {1: [0.9]}]
    assert ">start<" in curves(Summary("s", "accuracy", True, "-", rows, {})).svg


def test_labels_show_what_differs():
    assert short_labels(["compact_bilinear(dim=1024)", "compact_bilinear(dim=8192)"]) == (
        ["1024", "8192"],
        "compact_bilinear(dim=…)",
    )
    assert short_labels(["dim=1024", "dim=1048"])[0] == ["1024", "1048"]
    assert short_labels([0, 1e-5]) == (["0", "1e-05"], "")
    assert short_labels(["adamw()", "sgd()"])[0] == ["adamw", "sgd"]


def test_a_markdown_section_is_replaced_and_the_rest_stays(tmp_path):
    sweep = lab(tmp_path)
    run_sweep(sweep)
    path = tmp_path / "results.md"
    path.write_text("# Ours\n\nText before.\n", encoding="utf-8")
    for when in ("first", "second"):
        write_markdown(path, summarise(sweep), when, "a.yaml")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Ours\n\nText before.\n")
    assert "on second" in text
    assert "on first" not in text
    assert text.count("<!-- sweep try -->") == 1
    assert text.count("\n| lr=") == 6
    assert "torch" in text


# --- a real sweep ---


def test_the_command_trains_real_rows_and_goes_on(competition, tmp_path, monkeypatch, capsys):
    from recipe.__main__ import main

    monkeypatch.chdir(tmp_path)
    settings = (
        "{backbone: test_efficientnet, pretrained: false, image_size: 32, epochs: 1, batch_size: 8, folds: 2, "
        "memory_format: contiguous, "
        "optimizer: adamw(), views: identity(), workers: 1}"
    )
    (tmp_path / "s.yaml").write_text(
        f"name: real\ndata: {competition.as_posix()}\nsettings: {settings}\nspace: {{lr: [0.01, 0.001]}}\n",
        encoding="utf-8",
    )
    assert main(["sweep", "s.yaml", "--list"]) == 0
    assert capsys.readouterr().out == "lr=0.01\nlr=0.001\n"
    assert main(["sweep", "s.yaml", "--markdown", "results.md"]) == 0
    printed = capsys.readouterr().out
    assert "[2/2] lr=0.001, seed 0:" in printed
    folder = tmp_path / "data/output/sweeps/real"
    assert {"summary.csv", "runs.csv", "sweep.html", "curves.png", "scores.png"} <= {
        path.name for path in folder.iterdir()
    }
    assert not list(folder.rglob("*.safetensors"))
    assert len(list(folder.rglob("oof.npz"))) == 4
    assert "fold  epoch" in next(folder.rglob("log.txt")).read_text(encoding="utf-8")
    before = (folder / "journal.jsonl").read_bytes()
    assert main(["sweep", "s.yaml", "--report-only"]) == 0
    assert (folder / "journal.jsonl").read_bytes() == before
    assert main(["sweep", "s.yaml", "--set", "epochs"]) == 1
    assert "write NAME=VALUE" in capsys.readouterr().err


def test_an_equal_time_is_timed_on_the_real_steps(competition, tmp_path):
    text = (
        f"name: real\ndata: {competition.as_posix()}\nat_equal_time: {{row: plain}}\n"
        "settings: {backbone: test_efficientnet, pretrained: false, image_size: 32, epochs: 2, batch_size: 8, "
        "folds: 2, "
        "memory_format: contiguous, optimizer: adamw(), views: identity(), workers: 1}\nrows: {plain: {}, sam: "
        "{optimizer: sam(adamw())}}\n"
    )
    from recipe.sweep.objective import objective_of

    file = written(tmp_path, text)
    seconds = [objective_of(file).seconds_per_epoch(tasks_of(row, file)[0].config) for row in listed_rows(file)]
    assert all(math.isfinite(each) and each > 0 for each in seconds)


def test_without_optuna_grid_goes_on_and_tpe_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    run_sweep(lab(tmp_path))
    text = "name: t\ndata: d\nsearch: tpe\nspace: {lr: {low: 1.0e-5, high: 1.0, log: true}}\n"
    with pytest.raises(UserError, match="pip install 'optuna>=5,<6'"):
        run_sweep(Sweep(written(tmp_path, text), tmp_path / "tpe", Arithmetic(tmp_path / "ran.log")))


SPACE = "name: t\ndata: d\nseeds: [0, 1]\nsearch: {search}\n{more}settings: {{epochs: 2}}\nspace: {{lr: {values}}}\n"
SPACES = {
    "tpe": SPACE.format(search="tpe", more="trials: 3\n", values="{low: 1.0e-5, high: 1.0, log: true}"),
    "random": SPACE.format(search="random", more="trials: 3\n", values="{low: 1.0e-5, high: 1.0, log: true}"),
    "grid": SPACE.format(search="grid", more="", values="[0.001, 0.1, 9.0]"),  # the last of these fails
}


@pytest.mark.parametrize("search", SPACES)
def test_the_journal_as_a_study_of_optuna(tmp_path, search):
    optuna = pytest.importorskip("optuna")
    from recipe.sweep.study import write_study

    sweep = Sweep(written(tmp_path, SPACES[search]), tmp_path / "out", Arithmetic(tmp_path / "ran.log"))
    file = tmp_path / "a place" / "study.sqlite"
    assert write_study(sweep, file) == 0  # nothing has begun
    run_sweep(sweep)
    for _ in range(2):  # the second writes the same anew
        assert write_study(sweep, file) == 3
    trials = optuna.load_study(study_name="t", storage=f"sqlite:///{file}").trials
    known = sweep.journal.read()
    for trial in trials:
        ends = [task.ending for task in known.tasks.values() if task.row == trial.user_attrs["row"]]
        assert len(ends) == 2 and trial.datetime_start <= trial.datetime_complete
        if trial.params["lr"] > 5:
            assert trial.state.name == "FAIL" and trial.value is None
            continue
        assert trial.state.name == "COMPLETE"
        assert trial.value == pytest.approx(np.mean([end["score"] for end in ends]))
        assert list(trial.intermediate_values) == [1, 2] and trial.intermediate_values[2] == pytest.approx(trial.value)
        assert trial.user_attrs["scores by seed"] == [end["score"] for end in ends]


def test_a_study_of_rows_in_work_stopped_rows_and_other_studies_in_the_file(tmp_path):
    optuna = pytest.importorskip("optuna")
    from recipe.sweep.study import write_study

    file = tmp_path / "study.sqlite"
    optuna.create_study(storage=f"sqlite:///{file}", study_name="another")
    sweep = Sweep(written(tmp_path, SPACES["grid"]), tmp_path / "out", Arithmetic(tmp_path / "ran.log"))
    sweep.open()
    one, two = sweep.next(), sweep.next()
    sweep.finish("pruned", one[0], "stopped", score=0.25)
    assert write_study(sweep, file) == 1
    assert [trial.state.name for trial in optuna.load_study(study_name="t", storage=f"sqlite:///{file}").trials] == [
        "RUNNING"
    ]
    sweep.finish("done", two[0], "done", score=0.5)
    assert write_study(sweep, file) == 1
    assert [trial.state.name for trial in optuna.load_study(study_name="t", storage=f"sqlite:///{file}").trials] == [
        "PRUNED"
    ]
    assert sorted(optuna.get_all_study_names(f"sqlite:///{file}")) == ["another", "t"]


def test_a_study_that_cannot_be_is_a_sentence(tmp_path):
    from recipe.sweep.study import write_study

    sweep = Sweep(written(tmp_path, SPACES["grid"]), tmp_path / "out", Arithmetic(tmp_path / "ran.log"))
    (tmp_path / "none.sqlite").write_text("this is no database, but a text that is long enough to be read as one" * 9)
    for file in (tmp_path, tmp_path / "none.sqlite"):
        with pytest.raises(UserError, match="cannot be written"):
            write_study(sweep, file)
    named = "name: t\ndata: d\nrows: {a: {lr: 0.1}}\n"
    with pytest.raises(UserError, match="lie in no space"):
        write_study(Sweep(written(tmp_path, named), tmp_path / "o", Arithmetic(tmp_path / "ran.log")), tmp_path / "s")
