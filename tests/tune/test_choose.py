"""Choosing on out-of-fold rows: the tests of significance, soups, weights, temperature, and the tune command from run
to answers.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from scipy.stats import binomtest

from protocol.strict import ConfigError
from recipe.__main__ import main
from recipe.components.metrics import METRICS
from recipe.components.views import VIEWS, identity, on_request
from recipe.config import Config
from recipe.data.reading import read
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.runs.checkpoint import load_checkpoint, save_checkpoint
from recipe.runs.description import read_description
from recipe.runs.ensemble import Answering, Weighted, read_answering, write_answering
from recipe.runs.folder import open_run_folder
from recipe.runs.sealed import write_sealed
from recipe.serving.averaging import tempered
from recipe.serving.calibrate import fit_temperature
from recipe.serving.predict import Ensemble
from recipe.system.atomic import CheckpointError, read_sealed_json, write_sealed_json
from recipe.system.console import Bar
from recipe.train import cross_validate
from recipe.training.run import Prepared
from recipe.tune.choice import Choice, select_weights
from recipe.tune.out_of_fold import Answers
from recipe.tune.significance import bootstrap, mcnemar, paired_answers
from recipe.tune.soup import greedy_soup, mean_of_weights
from recipe.tune.tuning import everything

TINY = Config(
    backbone="test_efficientnet",
    pretrained=False,
    image_size=32,
    epochs=2,
    batch_size=8,
    folds=2,
    memory_format="contiguous",
    optimizer="adamw()",
    lr=0.01,
    augment="hflip()",
    views="identity()",
    workers=1,
    snapshot_steps=2,
    crop_pct=0.8,
    export="none",
)


def drawn(rows, sure, seed=0, classes=3):
    """Labels, and probabilities that are as right as they say: labels are drawn from them."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, sure, (rows, classes))
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (probs.cumsum(1) < generator.random((rows, 1))).sum(1).clip(0, classes - 1)
    return labels, probs.astype(np.float32)


# significance


@pytest.mark.limit("recipe.tune.significance", "mcnemar")
@pytest.mark.reference("recipe.tune.significance", "mcnemar")
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200))
def test_mcnemar_is_the_binomial_test_of_the_rows_that_differ(pairs):
    first, second = np.array(pairs).T
    wins, losses = int((first & ~second).sum()), int((second & ~first).sum())
    expected = binomtest(wins, wins + losses, 0.5).pvalue if wins + losses else 1.0
    assert mcnemar(first, second) == pytest.approx(expected)


def test_bootstrap_agrees_with_mcnemar_where_both_hold():
    generator = np.random.default_rng(0)
    right = generator.random(400) < 0.8
    other = right ^ (generator.random(400) < 0.1)
    p = bootstrap(lambda rows: float(other[rows].mean() - right[rows].mean()), 400)
    assert p == pytest.approx(mcnemar(right, other), abs=0.12)


@pytest.mark.limit("recipe.tune.significance", "bootstrap")
def test_bootstrap_limits():
    assert bootstrap(lambda rows: 0.0, 10) == 1
    assert bootstrap(lambda rows: 1.0, 10, draws=99) == pytest.approx(0.02)

    def undefined(rows):
        raise ValueError("one class alone")

    assert bootstrap(undefined, 10) == 1


@pytest.mark.parametrize("metric", ["macro_f1", "log_loss"])
def test_the_same_answers_are_no_difference(metric, monkeypatch):
    monkeypatch.setattr(bootstrap, "__defaults__", (50, 0))  # draws, seed
    labels, probs = drawn(60, 2)
    found = paired_answers(METRICS[metric], labels, probs, probs)
    assert (found.difference, found.p) == (0, 1)


def test_a_smaller_log_loss_is_a_positive_difference():
    labels, probs = drawn(200, 2)
    found = paired_answers(METRICS["log_loss"], labels, tempered(probs, 8), probs)
    assert found.difference > 0
    assert found.p < 0.01


# temperature


@pytest.mark.parametrize("true", [0.5, 1.0, 2.0])
def test_the_temperature_of_known_probabilities_is_found(true):
    labels, probs = drawn(20000, 2)
    assert fit_temperature(labels, tempered(probs, 1 / true)) == pytest.approx(true, rel=0.05)


@pytest.mark.limit("recipe.serving.averaging", "tempered")
def test_temperature_limits():
    _, probs = drawn(50, 2)
    assert tempered(probs, 1) is probs
    assert np.allclose(tempered(probs, 1e9), 1 / 3, atol=1e-6)
    assert np.array_equal(tempered(probs, 3).argmax(1), probs.argmax(1))
    assert np.allclose(tempered(np.array([[1.0, 0, 0]], np.float32), 0.5), [[1, 0, 0]])
    assert fit_temperature(np.zeros(5, int), np.array([[0.6, 0.4]] * 5)) == pytest.approx(0.05, rel=0.01)


@pytest.mark.reference("recipe.serving.averaging", "tempered")
def test_temperature_of_one_network_is_the_division_of_logits():
    logits = torch.randn(10, 4)
    assert np.allclose(tempered(logits.softmax(1).numpy(), 1.7), (logits / 1.7).softmax(1).numpy(), atol=1e-6)


def test_a_temperature_for_calibrated_probabilities_is_refused():
    labels, probs = drawn(600, 2)
    choice = Choice(labels, np.arange(600) % 3, "accuracy", Answers(probs, 1.0))
    assert choice.offer_temperature() == 1
    assert choice.trials[-1].metric == "log_loss"
    choice = Choice(labels, np.arange(600) % 3, "accuracy", Answers(tempered(probs, 0.3), 1.0))
    assert choice.offer_temperature() == pytest.approx(1 / 0.3, rel=0.2)


# soups


@pytest.mark.limit("recipe.tune.soup", "mean_of_weights")
def test_a_soup_of_identical_weights_is_the_model(tmp_path):
    state = {"weight": torch.randn(50, 7), "count": torch.tensor(3), "half": torch.randn(5).half()}
    files = [tmp_path / f"{n}.safetensors" for n in range(3)]
    for file in files:
        write_sealed(file, state, {})
    mean = mean_of_weights(files)
    assert all(torch.equal(mean[key], state[key]) and mean[key].dtype == state[key].dtype for key in state)


@pytest.mark.reference("recipe.tune.soup", "mean_of_weights")
def test_a_soup_is_the_mean(tmp_path):
    weights = [torch.randn(4, 3) for _ in range(3)]
    for number, weight in enumerate(weights):
        write_sealed(tmp_path / f"{number}.safetensors", {"weight": weight}, {})
    assert torch.allclose(mean_of_weights(sorted(tmp_path.iterdir()))["weight"], torch.stack(weights).mean(0))


@pytest.mark.limit("recipe.tune.soup", "greedy_soup")
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=8), st.floats(-1, 1))
def test_a_soup_is_never_below_its_best_member(values, target):
    """Ingredients are points on a line, and quality is nearness to a target."""

    def near(numbers):
        return -abs(float(np.mean([values[number] for number in numbers])) - target), 0.0

    chosen = greedy_soup(len(values), near)
    assert near(chosen) >= max(near((number,)) for number in range(len(values)))
    assert len(set(chosen)) == len(chosen) > 0


# weights


def accuracy_of(labels):
    return lambda probs: (float((probs.argmax(1) == labels).mean()), 0.0)


@pytest.mark.limit("recipe.tune.choice", "select_weights")
@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(0, 100))
def test_weights_sum_to_1_and_are_no_worse_than_the_best_run(runs, seed):
    labels, first = drawn(60, 2, seed)
    probs = [first, *(drawn(60, 2, seed + run)[1] for run in range(1, runs))]
    weights = select_weights(probs, accuracy_of(labels))
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    mean = np.average(probs, axis=0, weights=weights)
    assert accuracy_of(labels)(mean) >= max(accuracy_of(labels)(each) for each in probs)


def test_one_run_has_weight_1_and_noise_has_none():
    labels, probs = drawn(300, 3)
    assert select_weights([probs], accuracy_of(labels)).tolist() == [1]
    noise = drawn(300, 3, seed=9)[1]
    weights = select_weights([noise, probs], lambda mean: (0.0, -float(METRICS["log_loss"](labels, mean))))
    assert weights[1] > 0.9


def test_weights_of_two_runs_are_kept_where_they_help_and_refused_where_not():
    labels, truth = drawn(900, 3)
    fold_of = np.arange(900) % 3
    noisy = [
        tempered(truth * np.exp(np.random.default_rng(n).normal(0, 2, truth.shape)).astype(np.float32), 1.0)
        for n in (1, 2)
    ]
    noisy = [(probs / probs.sum(1, keepdims=True)).astype(np.float32) for probs in noisy]
    choice = Choice(labels, fold_of, "accuracy", Answers(noisy[0], 1.0))
    shares = choice.offer_weights(["a", "b"], [Answers(probs, 1.0) for probs in noisy])
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()
    assert choice.present.ms == 2
    choice = Choice(labels, fold_of, "accuracy", Answers(truth, 1.0))
    assert choice.offer_weights(["a", "b"], [Answers(truth, 1.0), Answers(drawn(900, 3, 5)[1], 1.0)]).tolist() == [1, 0]


# offers


def test_a_view_that_hurts_is_refused_and_one_that_helps_by_chance_too():
    labels, probs = drawn(300, 3)
    worse, slightly = probs[:, ::-1].copy(), probs.copy()
    wrong = np.flatnonzero(probs.argmax(1) != labels)[:2]
    slightly[wrong] = np.eye(3)[labels[wrong]]
    choice = Choice(labels, np.arange(300) % 2, "accuracy", Answers(probs, 1.0))
    assert choice.offer([("worse", Answers(worse, 2.0)), ("by chance", Answers(slightly, 2.0))]) is None
    _, first, second = choice.trials
    assert (first.kept, first.why) == (False, "worse")
    assert (second.kept, second.why) == (False, "better by no more than chance")
    assert choice.present.probs is probs


def test_the_best_of_those_that_pass_is_kept():
    labels, probs = drawn(300, 1)
    wrong = np.flatnonzero(probs.argmax(1) != labels)
    mended = []
    for count in (20, 40):
        mended.append(probs.copy())
        mended[-1][wrong[:count]] = np.eye(3)[labels[wrong[:count]]]
    choice = Choice(labels, np.arange(300) % 2, "accuracy", Answers(probs, 1.0))
    assert choice.offer([(str(n), Answers(each, 1.0)) for n, each in enumerate(mended)]) == 1
    assert [trial.why for trial in choice.trials] == [
        "in force",
        "better, but another is better still",
        "better beyond chance",
    ]


def test_cross_fitting_never_answers_a_row_with_what_saw_it():
    labels, probs = drawn(30, 1)
    for fold_of in (np.arange(30) % 3, np.where(np.arange(30) < 20, 0, -1)):
        choice = Choice(labels, fold_of, "accuracy", Answers(probs, 1.0))
        seen = []

        def fit(rows, seen=seen):
            def answer(others):
                assert not set(rows) & set(others)
                seen.extend(others.tolist())
                return probs[others]

            return answer

        crossed = choice.cross_fitted(fit)
        assert sorted(seen) == np.flatnonzero(fold_of >= 0).tolist()
        assert np.isnan(crossed[fold_of < 0]).all()


# ensemble.json


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"veiws": "identity()"}, r"unknown key 'veiws'.* Did you mean 'views'"),
        ({"temperature": 0}, "temperature: 0 is refused"),
        ({"test_size": -1}, "test_size: -1 is refused"),
        ({"members": [{"run": "../b6", "weight": 1.0}]}, "inside the run folder"),
        ({"members": [{"run": "/b6", "weight": 1.0}]}, "inside the run folder"),
        ({"members": [{"run": ".", "weight": 0.5}, {"run": "members/a", "weight": 0.4}]}, "sum to 0.9"),
        ({"members": [{"run": ".", "weight": 0.5}, {"run": ".", "weight": 0.5}]}, "named twice"),
    ],
)
def test_a_wrong_ensemble_file_is_refused(tmp_path, content, message):
    (tmp_path / "ensemble.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_answering(tmp_path)


def test_ensemble_file_round_trip(tmp_path):
    assert read_answering(tmp_path) == Answering()
    (tmp_path / "ensemble.json").write_text('{"views": "hflip()"}', encoding="utf-8")
    assert read_answering(tmp_path) == Answering(views="hflip()")
    serving = Answering(
        views="hflip()", test_size=40, temperature=1.5, members=(Weighted(run="members/a", weight=1.0),)
    )
    write_answering(tmp_path, serving)
    assert read_answering(tmp_path) == serving
    (tmp_path / "ensemble.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match="is not JSON"):
        read_answering(tmp_path)


# the command, on real runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two runs on the same 36 pictures."""
    import cv2

    from tests.conftest import draw

    folder = tmp_path_factory.mktemp("tune")
    (folder / "data").mkdir()
    lines = ["image_path,label"]
    for row in range(36):
        cv2.imwrite(str(folder / "data" / f"{row:03d}.png"), draw(row % 3, row))
        lines.append(f"{row:03d}.png,{row % 3}")
    (folder / "data" / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = read(folder / "data")
    for name, seed in (("first", 0), ("second", 1)):
        begun = start(TINY.model_copy(update={"seed": seed}), 3)
        pictures = Pictures(table.paths, short_side(begun.preprocessing))
        cross_validate(Prepared(begun, table, pictures), folder / name)
    return folder


@pytest.fixture
def runs(trained, tmp_path):
    for name in ("first", "second"):
        shutil.copytree(trained / name, tmp_path / name)
    return tmp_path / "first", tmp_path / "second", read(trained / "data")


class Counted(Bar):
    """A bar that shows nothing."""

    def __init__(self):
        super().__init__(0, "picture", shown=False)
        self.count = 0

    def advance(self, count=1):
        self.count += count


def tune(*words):
    return main(["tune", "--device", "cpu", *map(str, words)])


def test_the_command_reports_every_candidate(runs, capsys):
    first, second, table = runs
    assert tune(first, second) == 0
    printed = capsys.readouterr().out
    for candidate in (
        "first: identity(), 32 px",
        "second: identity(), 32 px",
        "greedy soup",
        "64 px",
        "five_crop()",
        "equal weights",
        "temperature",
    ):
        assert candidate in printed
    trials = json.loads((first / "tune.json").read_text(encoding="utf-8"))
    assert all(trial["kept"] == (trial["why"] in ("in force", "better beyond chance")) for trial in trials)
    stored = json.loads((first / "metrics.json").read_text(encoding="utf-8"))["oof"]
    assert trials[0]["score"] == pytest.approx(stored, abs=1e-6)
    assert Ensemble(first, "cpu").probs(table.paths[:5]).sum(1) == pytest.approx(np.ones(5), abs=1e-5)


def test_only_what_is_named_is_tried(runs, capsys):
    first, _, _ = runs
    assert tune(first, "--views", "hflip()", "--test-sizes", "32,40") == 0
    trials = json.loads((first / "tune.json").read_text(encoding="utf-8"))
    assert [trial["candidate"] for trial in trials] == ["first: identity(), 32 px", "40 px", "hflip()"]


def forced(monkeypatch):
    """Every candidate passes."""
    from recipe.tune import choice as choose
    from recipe.tune.significance import Comparison

    def passes(metric, labels, present, candidate, exact=False):
        return Comparison(float(metric(labels, candidate)), 0.5, 0.0)

    monkeypatch.setattr(choose, "paired_answers", passes)


def test_what_is_kept_is_what_answers(runs, monkeypatch):
    """Soup, size, views, weights and temperature, then the answers against their definition."""
    first, second, table = runs
    forced(monkeypatch)
    paths = table.paths[:6]
    assert tune(first, second, "--soup", "--test-sizes", "40", "--views", "identity(), hflip()", "--temperature") == 0
    serving = read_answering(first)
    assert (serving.soup, serving.test_size, serving.views) == (True, 40, "identity(), hflip()")
    assert [(member.run, member.weight) for member in serving.members] == [(".", 0.5), ("members/second", 0.5)]
    alone = []
    for folder, weights in ((first, True), (first / "members" / "second", False)):
        write_answering(folder, Answering(views="identity(), hflip()", test_size=40, soup=weights))
        alone.append(Ensemble(folder, "cpu").probs(paths))
    write_answering(first, serving)
    expected = tempered((alone[0] + alone[1]) / 2, serving.temperature)
    assert np.allclose(Ensemble(first, "cpu").probs(paths), expected, atol=1e-5)
    files = {
        path.relative_to(first / "members").as_posix() for path in (first / "members").rglob("*") if path.is_file()
    }
    assert files == {
        "second/ensemble.json",
        *(f"second/fold{n}/{name}" for n in (0, 1) for name in ("fold.json", "model.safetensors")),
    }
    shutil.rmtree(second)  # the run is complete in itself
    moved = first.rename(first.with_name("moved"))
    assert np.allclose(Ensemble(moved, "cpu").probs(paths), expected, atol=1e-5)


def flip(path):
    """One bit of the last tensor."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def test_a_damaged_or_foreign_soup_is_refused(runs, monkeypatch, capsys):
    first, _, table = runs
    forced(monkeypatch)
    assert tune(first, "--soup") == 0
    soup = first / "fold0" / "soup.safetensors"
    whole = soup.read_bytes()
    flip(soup)
    with pytest.raises(
        CheckpointError, match=r"soup\.safetensors cannot be used: .* does not match its checksum. Tune again"
    ):
        Ensemble(first, "cpu")
    shutil.copyfile(first / "fold0" / "model.safetensors", soup)
    with pytest.raises(CheckpointError, match="is not a soup"):
        Ensemble(first, "cpu")
    shutil.copyfile(first / "fold1" / "soup.safetensors", soup)
    with pytest.raises(CheckpointError, match="belongs to another checkpoint"):
        Ensemble(first, "cpu")
    save_file(load_file(first / "fold0" / "model.safetensors"), soup)
    with pytest.raises(CheckpointError, match="carries no checksum"):
        Ensemble(first, "cpu")
    soup.write_bytes(whole)
    assert Ensemble(first, "cpu").probs(table.paths[:1]).sum() == pytest.approx(1, abs=1e-5)


def test_a_damaged_snapshot_is_not_mixed(runs, capsys):
    first, _, _ = runs
    flip(sorted((first / "fold0" / "snapshots").iterdir())[0])
    assert tune(first, "--soup") == 1
    assert "does not match its checksum" in capsys.readouterr().err
    assert not read_answering(first).soup


def test_weights_and_descriptions_without_a_checksum_are_refused(runs):
    """As they were written before there were checksums: nothing vouches for them."""
    fold = runs[0] / "fold0"
    save_file(load_file(fold / "model.safetensors"), fold / "model.safetensors")
    with pytest.raises(CheckpointError, match="carries no checksum"):
        load_checkpoint(fold)
    write_sealed_json(fold / "fold.json", read_sealed_json(fold / "fold.json") | {"format": 1, "loss": None})
    with pytest.raises(CheckpointError, match="another version"):
        load_checkpoint(fold)


def test_what_is_chosen_is_exported_again_as_it_was(runs, monkeypatch, capsys, caplog):
    first, _, table = runs
    assert main(["export", str(first), "--format", "torchscript"]) == 0
    stale = [(first / f"fold{n}" / "export.json").read_bytes() for n in (0, 1)]
    assert tune(first, "--views", "hflip()") == 0  # refused: the export stands
    assert "fold*/model.pt" in capsys.readouterr().out
    assert [(first / f"fold{n}" / "export.json").read_bytes() for n in (0, 1)] == stale
    forced(monkeypatch)
    assert tune(first, "--soup", "--test-sizes", "40") == 0
    assert "fold*/model.pt" in capsys.readouterr().out
    answering = Ensemble(first, "cpu", "torchscript").probs(table.paths[:4])
    assert np.allclose(answering, Ensemble(first, "cpu", "torch").probs(table.paths[:4]), atol=1e-5)
    assert "stale" not in caplog.text


def test_the_settings_say_whether_a_choice_is_exported(runs, monkeypatch):
    from recipe.serving import export

    first, _, _ = runs
    assert export.formats_of(first) == []
    monkeypatch.setattr(
        export,
        "read_description",
        lambda fold: dataclasses.replace(read_description(fold), config=TINY.model_copy(update={"export": "onnx"})),
    )
    assert export.formats_of(first) == ["onnx"]


@pytest.mark.parametrize(
    "words", [(), ("--soup",), ("--test-sizes", "32,40,48"), ("--views", "hflip()", "--views", "identity()")]
)
def test_the_bar_counts_every_picture_that_is_answered(runs, words):
    import argparse

    from recipe.commands import tune as command
    from recipe.tune.out_of_fold import OutOfFold
    from recipe.tune.tuning import pictures_to_answer
    from recipe.tune.tuning import tune as search

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    wishes, run = command.wished(parser.parse_args([str(runs[0]), *words])), open_run_folder(runs[0])
    counted = Counted()
    search([OutOfFold(run, run.paths(None), torch.device("cpu"), counted)], wishes)
    assert counted.count == pictures_to_answer(run, wishes) > 0


def test_a_lean_copy_answers_as_the_run_would(runs, monkeypatch):
    first, _, table = runs
    forced(monkeypatch)
    copy = first.with_name("copy")
    assert tune(first, "--soup", "--out", copy) == 0
    assert not read_answering(first).soup
    assert not read_answering(copy).soup
    assert not list(copy.rglob("snapshots"))
    untouched = load_file(first / "fold0" / "model.safetensors")
    assert tune(first, "--soup") == 0
    assert all(
        torch.equal(value, untouched[key]) for key, value in load_file(first / "fold0" / "model.safetensors").items()
    )
    assert np.allclose(
        Ensemble(copy, "cpu").probs(table.paths[:4]), Ensemble(first, "cpu").probs(table.paths[:4]), atol=1e-6
    )
    assert tune(first, "--out", copy) == 1


def test_choosing_anew_clears_what_was_chosen_before(runs, monkeypatch):
    first, second, _ = runs
    with monkeypatch.context() as patched:
        forced(patched)
        assert tune(first, second, "--soup", "--test-sizes", "32") == 0
    assert (first / "fold0" / "soup.safetensors").exists()
    assert tune(first, "--temperature") == 1  # the other run is not named
    for fold in (0, 1):
        shutil.rmtree(first / f"fold{fold}" / "snapshots")
        shutil.rmtree(second / f"fold{fold}" / "snapshots")
    assert tune(first, second, "--soup") == 0
    assert not read_answering(first).members
    assert not (first / "fold0" / "soup.safetensors").exists()
    assert not (first / "members" / "second").exists()


def test_the_out_of_fold_answers_are_those_of_the_run(runs):
    from recipe.tune.out_of_fold import OutOfFold

    first, _, table = runs
    run = open_run_folder(first)
    answers = OutOfFold(run, run.paths(None), torch.device("cpu")).answers(Answering())
    for fold, rows in run.folds:
        with np.load(fold / "oof.npz") as stored:
            assert np.allclose(answers.probs[rows], stored["oof_probs"], atol=1e-5)
    assert run.labels.tolist() == table.labels.tolist()
    assert math.isfinite(answers.ms)


def test_runs_that_do_not_fit_are_refused_in_a_sentence(runs, capsys):
    first, second, _ = runs
    about = json.loads((second / "run.json").read_text(encoding="utf-8"))
    (second / "run.json").write_text(json.dumps(about | {"fingerprint": "0" * 12}), encoding="utf-8")
    assert tune(first, second) == 1
    assert "differ in fingerprint" in capsys.readouterr().err
    assert tune(first, first) == 1
    assert "named twice" in capsys.readouterr().err
    assert tune(second) == 1
    assert "not what" in capsys.readouterr().err
    (second / "oof.csv").unlink()
    assert tune(second) == 1
    assert "give the oof.csv of a finished run" in capsys.readouterr().err
    assert tune(first.with_name("none")) == 1
    assert tune(first, "--test-sizes", "32,large") == 1
    assert "'large' is no size" in capsys.readouterr().err
    assert tune(first, "--views", "hflop()") == 1
    assert "Did you mean 'hflip'" in capsys.readouterr().err


def test_a_member_that_is_an_ensemble_or_of_other_classes_is_refused(runs):
    first, second, _ = runs
    members = (Weighted(run=".", weight=0.5), Weighted(run="members/second", weight=0.5))
    shutil.copytree(second, first / "members" / "second")
    write_answering(first, Answering(views="identity()", members=members))
    write_answering(first / "members" / "second", Answering(temperature=2))
    with pytest.raises(CheckpointError, match="neither members nor a temperature"):
        Ensemble(first)
    write_answering(first / "members" / "second", Answering())
    for fold in ("fold0", "fold1"):
        folder = first / "members" / "second" / fold
        model, description = load_checkpoint(folder)
        save_checkpoint(folder, model.state_dict(), dataclasses.replace(description, values=("a", "b", "c")))
    with pytest.raises(CheckpointError, match="other classes"):
        Ensemble(first)


def test_all_views_are_tried_but_those_on_request_and_one_that_is_registered_now_is(monkeypatch):
    assert everything(32).views == ("identity()", "identity(), hflip()", "scales()", "five_crop()")
    monkeypatch.setattr(VIEWS, "_components", dict(VIEWS._components))

    @VIEWS.register
    def alone(size, /, by=1):
        return identity(size)

    @VIEWS.register
    def several(size, /):
        return identity(size) * 9

    @VIEWS.register
    @on_request
    def rare(size, /):
        return identity(size)

    @VIEWS.register
    def unfinished(size, /, by):
        return identity(size)

    added = set(everything(32).views) - {"identity()", "identity(), hflip()", "scales()", "five_crop()"}
    assert added == {"identity(), alone()", "several()"}


def test_a_table_in_an_encoding_that_nobody_guesses_is_read_by_its_name(runs, tmp_path, capsys):
    from recipe.__main__ import main

    first, _, table = runs
    shutil.copytree(table.source.parent if table.source.is_file() else table.source, tmp_path / "moved")
    csv = tmp_path / "moved" / "train.csv"
    csv.write_bytes(csv.read_text(encoding="utf-8").encode("cp500"))
    words = ["tune", str(first), "--data", str(csv), "--temperature"]
    assert main(words) == 1
    assert main([*words, "--encoding", "cp500"]) == 0
    assert (first / "tune.json").exists()
