"""A run under a time limit: the probe first, one network on nearly all rows, and both answer together."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from recipe.app import App
from recipe.cli import Options
from recipe.config import Config
from recipe.data.folds import make_folds
from recipe.data.reading import read
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import Preprocessing, short_side
from recipe.runs.folder import RunError, only_probe, open_run_folder
from recipe.serving.predict import Ensemble
from recipe.train import cross_validate, train
from recipe.training import minutes
from recipe.training.clock.cost import hidden_of
from recipe.training.clock.limit import TimeIsUpError, TimeLimit
from recipe.training.clock.pacer import Pacer
from recipe.training.clock.plan import Costs, Work, plan
from recipe.training.contender.exported import Speed
from recipe.training.contender.member import VIEWS, fitting, forms
from recipe.training.minutes import folds_in_time, nearly_all, plans, train_in_time
from recipe.training.run import Prepared, RunOptions

CONFIG = Config(
    backbone="test_efficientnet", pretrained=False, image_size=32, epochs=2, batch_size=4, folds=2,
    memory_format="contiguous", optimizer="adamw()", lr=0.01, augment="hflip()", ema_decay=0.9, workers=1, threads=1,
    hidden_pictures=4,
)  # fmt: skip


def prepared(competition, **settings):
    """A run whose random network counts as pretrained."""
    table, config = read(competition), CONFIG.model_copy(update=settings)
    begun = start(config, len(table.classes))
    config = config.model_copy(update={"pretrained": True, "head_init": "random", **settings})
    begun = dataclasses.replace(begun, config=config)
    return Prepared(begun, table, Pictures(table.paths, short_side(begun.preprocessing)))


def limited(minutes=60.0, **how):
    return RunOptions(limit=TimeLimit(60 * minutes), **how)


def test_network_and_probe_answer_together_and_resume_trains_nothing(competition, tmp_path, monkeypatch):
    monkeypatch.setattr(minutes, "folds_in_time", lambda *about: 1)
    ready = prepared(competition)
    summary = train_in_time(ready, tmp_path / "run", limited())
    assert [fold.fold for fold in summary.folds] == [0]
    members = json.loads((tmp_path / "run" / "ensemble.json").read_text())["members"]
    assert sum(member["weight"] for member in members) == pytest.approx(1)
    assert "members/probe" in {member["run"] for member in members}
    answers = Ensemble(tmp_path / "run", "cpu", "torch").probs(ready.table.paths[:5])
    assert np.allclose(answers.sum(1), 1, atol=1e-5)
    monkeypatch.setattr("recipe.training.fold.FoldTraining._train", lambda *about: pytest.fail("it trains again"))
    monkeypatch.setattr(minutes, "folds_in_time", lambda *about: 5)
    again = train_in_time(ready, tmp_path / "run", limited(resume=True))
    assert again.oof_score == summary.oof_score


def test_fewer_rows_than_folds_are_no_obstacle(competition, tmp_path):
    ready = prepared(competition, folds=50, epochs=1)
    assert len(ready.table) < 50 * len(ready.table.classes)
    app = App(competition=ready.competition)
    asked = Options(app, ready.start.config, "cpu", "", report=False)
    summary = train(ready, asked, tmp_path / "run", limit=TimeLimit(600.0))
    assert summary is not None and np.isfinite(summary.oof_score)


def test_the_probe_answers_where_the_time_ends_before_the_network(competition, tmp_path, monkeypatch):
    def no_time(*about):
        raise TimeIsUpError("over.")

    monkeypatch.setattr(minutes, "train_folds", no_time)
    ready = prepared(competition)
    summary = train_in_time(ready, tmp_path / "run", limited())
    assert summary.folds[0].epoch == 0
    assert not np.isnan(summary.oof_probs).any()  # every row has judged it, not the few that would judge a network
    ensemble = Ensemble(tmp_path / "run", "cpu", "torch")
    assert [member.run for member in ensemble.serving.members] == ["members/probe"]
    assert ensemble.probs(ready.table.paths[:2]).shape == (2, len(ready.table.classes))
    with pytest.raises(RunError, match="only the probe"):
        open_run_folder(tmp_path / "run")


@pytest.mark.parametrize("epochs", [0, 1])
def test_of_the_probe_alone_no_report_is_promised(competition, tmp_path, monkeypatch, capsys, epochs):
    monkeypatch.setattr(minutes, "train_folds", lambda *about: (_ for _ in ()).throw(TimeIsUpError("over.")))
    ready = prepared(competition, epochs=epochs)
    asked = Options(App(competition=ready.competition), ready.start.config, "cpu", "")
    train(ready, asked, tmp_path / "run", limit=TimeLimit(600.0))
    said = capsys.readouterr().out
    assert "report      left out: it is about a trained network" in said and "writes it later" not in said
    assert "answered by a simple classifier, the probe" in said and "no network was trained" in said
    named = tmp_path / "run" / ("members/probe" if epochs else "")
    assert f"export      {named}/fold*/" in said


def test_more_minutes_train_a_network_beside_the_probe_that_answered_alone(competition, tmp_path, monkeypatch):
    ready = prepared(competition, epochs=1)
    with monkeypatch.context() as short:
        short.setattr(minutes, "train_folds", lambda *about: (_ for _ in ()).throw(TimeIsUpError("over.")))
        alone = train_in_time(ready, tmp_path / "run", limited())
    assert only_probe(tmp_path / "run") and alone.folds[0].epoch == 0
    summary = train_in_time(ready, tmp_path / "run", limited(resume=True))
    assert not only_probe(tmp_path / "run") and summary.folds[0].epoch == 1


def test_with_time_for_all_of_them_the_folds_of_the_settings_are_trained(competition, tmp_path):
    summary = train_in_time(prepared(competition, epochs=1), tmp_path / "run", limited())
    assert [fold.fold for fold in summary.folds] == [0, 1]
    assert not np.isnan(summary.oof_probs).any()


@pytest.mark.parametrize(("patience", "kept"), [(0, 3), (9, 1)])
def test_few_rows_choose_no_epoch_unless_patience_was_asked_for(competition, tmp_path, monkeypatch, patience, kept):
    """A fold of 20 rows found its second of 30 epochs perfect, by chance, and answered with it."""
    monkeypatch.setattr("recipe.training.run.Best.beaten_by", lambda best, *about: best.epoch < 0)
    ready = prepared(competition, epochs=3, patience=patience, export="none")
    summary = train_in_time(ready, tmp_path / "run", limited())
    assert [fold.epoch for fold in summary.folds] == [kept, kept]


@pytest.mark.parametrize(("said", "rows", "hidden"), [(0, 60, 100), (0, 400, 100), (0, 5000, 1250), (7, 5000, 7)])
def test_as_many_pictures_are_expected_as_a_contest_hides(said, rows, hidden):
    assert hidden_of(CONFIG.model_copy(update={"hidden_pictures": said}), rows) == hidden


def test_without_any_epoch_the_probe_is_the_run(competition, tmp_path):
    ready = prepared(competition, epochs=0)
    summary = train_in_time(ready, tmp_path / "run", RunOptions())
    assert len(summary.folds) == 2 and not np.isnan(summary.oof_probs).any()
    assert Ensemble(tmp_path / "run", "cpu", "torch").probs(ready.table.paths[:2]).shape == (
        2,
        len(ready.table.classes),
    )
    with pytest.raises(RunError, match="every row"):
        open_run_folder(tmp_path / "run")
    assert train_in_time(ready, tmp_path / "run", RunOptions(resume=True)).oof_score == summary.oof_score


@pytest.mark.parametrize(
    ("left", "size", "views"),
    [(200, 224, VIEWS), (199, 224, "identity()"), (60, 160, "identity()"), (1, 128, "identity()")],
)
def test_less_time_computes_cheaper_features(left, size, views):
    form = fitting(Preprocessing(224, 0.875, (0.5,) * 3, (0.5,) * 3), seconds=100, left=left)
    assert (form.preprocessing.size, form.views) == (size, views)


def test_where_no_network_would_see_every_row_the_probe_gets_its_time():
    """5,000 rows and four minutes of one core: the mirrored view is worth more than a third of a pass."""
    given = Preprocessing(224, 0.875, (0.5,) * 3, (0.5,) * 3)
    assert fitting(given, seconds=120, left=220, epoch=200).views == VIEWS
    assert fitting(given, seconds=120, left=220, epoch=100).views == "identity()"
    assert fitting(given, seconds=140, left=220, epoch=200).views == "identity()"  # that would be too much of it


def test_a_probe_of_cheaper_features_answers(competition, tmp_path, monkeypatch):
    monkeypatch.setattr("recipe.training.contender.member.fitting", lambda given, *about: forms(given)[-1][0])
    ready = prepared(competition)
    train_in_time(ready, tmp_path / "run", limited())
    assert Ensemble(tmp_path / "run", "cpu", "torch").probs(ready.table.paths[:2]).shape == (
        2,
        len(ready.table.classes),
    )


def test_a_head_that_starts_at_random_never_ends_below_the_probe(competition, tmp_path):
    ready = prepared(competition, head_init="floor", lr=1e-9, ema_decay=0.0)
    summary = cross_validate(ready, tmp_path / "run", RunOptions(only_fold=0))
    (fold,) = summary.folds
    assert fold.epoch == 0 and fold.score == fold.probe_score
    assert [log.epoch for log in fold.logs] == [1, 2]
    assert fold.logs[0].train_loss > 0.8  # of a random head, and not of the probe's


def test_few_rows_judge_and_all_others_train_and_no_group_is_divided(competition):
    table = read(competition)
    groups = np.arange(len(table)) // 2
    (judges, *_) = make_folds(table, 2, 0, groups)
    fold = nearly_all(table, judges, 0, groups)
    assert sorted([*fold.train_rows, *fold.valid_rows]) == list(range(len(table)))
    assert 0 < len(fold.valid_rows) <= 2 * max(1, len(table) // 20)
    assert not set(groups[fold.train_rows]) & set(groups[fold.valid_rows])


def test_a_large_photograph_is_read_once_however_many_networks_answer_it():
    pacer = Pacer(TimeLimit(600.0), Costs(1, 1, 0, 0, 0, 0))
    run = SimpleNamespace(config=CONFIG.model_copy(update={"hidden_pictures": 10}), table=range(40), pacer=pacer)
    minutes._expect(run, Speed(export=0, load=0, decode=1.0, picture=0.1))
    assert pacer.measured.costs.predict == pytest.approx(10 * (1.0 + 2 * 0.1))


@pytest.mark.parametrize("copies", [1, 2, 4])
def test_copies_of_a_picture_do_not_cost_more_rows_that_only_judge(competition, copies):
    """Forty rows of forty groups of four once took a twelfth of a set away."""
    table = read(competition)
    rows = np.arange(len(table)).repeat(40 * copies)[: 40 * len(table)]
    many, groups = table.take(rows), np.arange(len(rows)) // copies
    (judges, *_) = make_folds(many, 5, 0, groups)
    fold = nearly_all(many, judges, 0, groups)
    assert len(fold.valid_rows) / copies == min(40, len(np.unique(groups)) // 20)


@pytest.mark.parametrize(
    ("settings", "how", "expected"),
    [
        ({}, {}, True),
        ({"plan": "fixed"}, {}, False),
        ({"pretrained": False}, {}, False),
        ({}, {"only_fold": 0}, False),
        ({}, {"limit": TimeLimit()}, False),
        ({"epochs": 0}, {"limit": TimeLimit()}, True),
        ({"epochs": 0, "head": "gem()"}, {"limit": TimeLimit()}, False),
    ],
)
def test_who_asks_for_something_else_gets_it(competition, settings, how, expected):
    assert plans(prepared(competition, **settings), dataclasses.replace(limited(), **how)) is expected


@pytest.mark.parametrize("rows", [300, 1000, 3000])
def test_more_time_never_gives_a_worse_plan(rows):
    """From 1 to 60 minutes of one core at 20 pictures/s: folds only become more, and so do the steps in all."""
    costs = Costs(16 / 20, 0, rows / 5 / 60, 0, rows / 5 / 20, rows / 4 / 20)
    whole, fold = (Work(steps, 30 * steps) for steps in (rows * 19 // 20 // 16, rows * 4 // 5 // 16))
    planned = []
    for seconds in range(60, 3601, 60):
        count = folds_in_time(seconds, 5, fold, costs)
        steps = plan(seconds, count, fold, costs).steps * count if count > 2 else plan(seconds, 1, whole, costs).steps
        planned.append((count if count > 2 else 1, steps))
    assert all(later[0] >= earlier[0] for earlier, later in pairwise(planned))
    assert all(later[1] >= earlier[1] for earlier, later in pairwise(planned) if later[0] == earlier[0])
    assert planned[-1][1] > planned[0][1]
