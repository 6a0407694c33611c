"""Whole runs under a time limit, on machines whose clock is simulated: training is real, minutes are not
(benchmarks/simulated.py).
"""

from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest
import run_lab
import torch
from conftest import draw
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from run_lab import FAST
from safetensors.torch import load_file

from benchmarks.paced import Contest, play
from benchmarks.simulated import Machine
from protocol.strict import ConfigError
from recipe.afterwards import _reported_in_time
from recipe.app import App
from recipe.cli import within_limits
from recipe.config import Config
from recipe.data.folds import Fold
from recipe.data.reading import read
from recipe.runs.description import read_description
from recipe.runs.epochs import read_logs
from recipe.serving.predict import Ensemble
from recipe.system.runtime import Runtime
from recipe.training.clock.cost import Measured, Speed, estimate, expected_costs
from recipe.training.clock.limit import TimeIsUpError, TimeLimit
from recipe.training.clock.pacer import Pacer
from recipe.training.clock.plan import Costs, Work
from recipe.training.fold import FoldTraining
from recipe.training.validation import Validation

ASKED = FAST.model_copy(
    update={
        "epochs": 8, "batch_size": 4, "folds": 3, "mix_off_epochs": 2, "hidden_pictures": 12,
        "loss": "deferred(ce(), class_balanced(), start=0.5)",
    }
)  # fmt: skip
STEPS = 6  # of an epoch: 24 rows, 4 per step


def run(competition, folder, config=ASKED, **how):
    return run_lab.run(competition, folder, config, **how)[1]


def on(machine, minutes, competition, folder, config=ASKED, **how):
    """A run on a simulated machine; when the hidden pictures were predicted, in minutes."""
    with machine.running():
        result = run(competition, folder, config, limit=TimeLimit(60 * minutes, 0.0, machine.clock), **how)
    ensemble = Ensemble(folder)
    machine.answer(config.hidden_pictures, len(answering(folder)), 1)
    assert np.isfinite(ensemble.probs(read(competition).paths[:2])).all()
    return result, machine.now / 60


def answering(folder):
    return list(folder.glob("fold*/fold.json"))


def machine(**profile):
    return Machine(**({"step": 5.0, "batch": 4} | profile))


def weights(folder):
    return {path.parent.name: load_file(path) for path in sorted(folder.glob("fold*/model.safetensors"))}


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(state[key], other[fold][key]) for fold, state in one.items() for key in state)


def test_a_generous_limit_changes_nothing(competition, tmp_path):
    plain = run(competition, tmp_path / "plain")
    limited = run(competition, tmp_path / "limited", ASKED.model_copy(update={"minutes": 1e6}))
    assert same(weights(tmp_path / "plain"), weights(tmp_path / "limited"))
    assert np.array_equal(plain.oof_probs, limited.oof_probs)
    assert not (tmp_path / "plain" / "time.json").exists()


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"slow_after": 400.0, "slow_factor": 3.0},
        {"slow_after": 200.0, "slow_factor": 0.3},
        {"memory": 2},
        {"cold": 4.0},
        {"validation": 5.0},
        {"expected": 0.2},
        {"expected": 4.0},
        {"stalls": ((300.0, 120.0), (600.0, 60.0))},
    ],
    ids=str,
)
def test_a_tight_limit_is_kept_whatever_the_machine_does(competition, tmp_path, profile, capsys):
    ends, seen = {}, Pacer.stepped

    def spy(self, done, end, frozen=False):
        ends[self.fold] = (done, seen(self, done, end, frozen))
        return ends[self.fold][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pacer, "stepped", spy)
        result, minutes = on(machine(**profile), 20, competition, tmp_path / "run")
    assert minutes <= 20
    assert result.folds
    assert all(done == end for done, end in ends.values())  # each fold went to the end that was begun for it
    last = {log.fold: log.lr for log in read_logs(tmp_path / "run" / "log.jsonl")}
    assert all(lr < 0.25 * ASKED.lr for lr in last.values()), last  # and its learning rate came down
    assert "limit    fold 0, epoch 0: " in capsys.readouterr().out


@settings(max_examples=5, phases=[Phase.explicit, Phase.generate])
@given(
    st.floats(0.3, 10),
    st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 60)), max_size=2),
    st.floats(0.3, 2.5),
    st.floats(1, 3),
)
def test_no_machine_overruns_and_every_one_can_answer(tmp_path_factory, step, stalls, slow_factor, validation):
    """Without a probe and with stalls at any place, also within the first validation."""
    folder = tmp_path_factory.mktemp("any")
    competition = tiny(folder)
    slow = machine(step=step, stalls=tuple(stalls), slow_after=300.0, slow_factor=slow_factor, validation=validation)
    config = ASKED.model_copy(update={"optimizer": "sgd()", "ema_decay": 0.0})
    try:
        _, minutes = on(slow, 10, competition, folder / "run", config)
    except TimeIsUpError:
        slow.answer(config.hidden_pictures, 1, 1)
        minutes = slow.now / 60
        assert len(answering(folder / "run")) == 1
        Ensemble(folder / "run")
    assert minutes <= 10


def test_a_network_that_nobody_could_judge_answers_without_a_score(competition, tmp_path):
    def over(*about):
        raise TimeIsUpError("over")

    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validation, "probs", over)
        with pytest.raises(TimeIsUpError, match="answers all the same"):
            on(machine(), 20, competition, folder)
    assert read_description(folder / "fold0").score is None
    assert np.isfinite(Ensemble(folder).probs(read(competition).paths[:2])).all()
    on(machine(), 40, competition, folder, resume=True)
    assert read_description(folder / "fold0").score is not None


def tiny(folder):
    (folder / "image").mkdir()
    rows = ["image_path,label"]
    for row in range(36):
        cv2.imwrite(str(folder / "image" / f"{row}.png"), draw(row % 3, row))
        rows.append(f"image/{row}.png,{row % 3}")
    (folder / "train.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_a_slow_machine_trains_fewer_folds_before_too_few_epochs(competition, tmp_path):
    result, _ = on(machine(), 8, competition, tmp_path / "run")
    epochs = [
        max(log.epoch for log in read_logs(tmp_path / "run" / "log.jsonl") if log.fold == fold.fold)
        for fold in result.folds
    ]
    assert len(result.folds) == 1
    assert epochs[0] >= 4
    assert np.isnan(result.oof_probs[:, 0]).sum() == 24


def test_a_limit_for_nothing_is_refused_in_a_sentence(competition, tmp_path):
    with pytest.raises(TimeIsUpError, match=r"--minutes 0\.01 .*Give more minutes"):
        run(competition, tmp_path / "run", ASKED.model_copy(update={"minutes": 0.01}))
    assert not list((tmp_path / "run").glob("fold*/fold.json"))


def test_the_probe_answers_where_there_is_time_for_nothing_else(competition, tmp_path):
    config = Config(
        backbone="tf_efficientnet_lite0",
        image_size=32,
        epochs=4,
        batch_size=4,
        folds=2,
        memory_format="contiguous",
        optimizer="sgd()",
        views="identity()",
        workers=1,
        hidden_pictures=12,
    )
    result, minutes = on(machine(step=60.0), 8, competition, tmp_path / "run", config)
    assert minutes <= 8
    assert [(fold.fold, fold.epoch) for fold in result.folds] == [(0, 0)]
    assert result.oof_score == pytest.approx(result.probe_score)


def test_two_stages_shrink_together(competition, tmp_path):
    """2 of 8 epochs with a frozen backbone: half the time leaves one of them, and both schedules end."""
    config = Config(
        backbone="tf_efficientnet_lite0",
        image_size=32,
        epochs=8,
        freeze_epochs=2,
        batch_size=6,
        folds=2,
        memory_format="contiguous",
        optimizer="sgd()",
        views="identity()",
        workers=1,
        hidden_pictures=12,
    )
    stages = []
    with pytest.MonkeyPatch.context() as patch:
        real = FoldTraining.take
        patch.setattr(FoldTraining, "take", lambda self, *a, **k: stages.append(self.stage) or real(self, *a, **k))
        _, minutes = on(machine(step=20.0), 8, competition, tmp_path / "run", config)
    assert minutes <= 8
    frozen = [stage.frozen for stage in stages]
    assert 0 < sum(frozen) <= 3  # one epoch
    assert frozen == sorted(frozen, reverse=True)
    assert max(log.lr for log in read_logs(tmp_path / "run" / "log.jsonl") if log.epoch == 1) < config.freeze_lr


@pytest.mark.parametrize(
    "profile", [{}, {"cold": 3.0, "validation": 3.0}, {"slow_after": 300.0, "slow_factor": 2.0}], ids=str
)
def test_a_run_without_a_network_takes_the_same_decisions(competition, tmp_path, profile):
    """What the random machines of tests/test_pacer.py show is so of training as well."""
    config = ASKED.model_copy(update={"optimizer": "sgd()", "ema_decay": 0.0})
    trained, played = machine(**profile), machine(**profile)
    _, minutes = on(trained, 15, competition, tmp_path / "run", config)
    alone = play(played, Contest(Work(STEPS, 8 * STEPS), folds=3, valid=12, hidden=12), 900)
    assert minutes == pytest.approx(alone.seconds / 60)
    said = [
        decision["why"]
        for decision in json.loads((tmp_path / "run" / "time.json").read_text(encoding="utf-8"))["decisions"]
    ]
    assert said == [
        line.split(": ", 1)[1].rsplit(" fit in ", 1)[0] + " fit in" for line in alone.said if " fit in " in line
    ]


class Killed(BaseException):
    """What no handler may catch."""


def test_a_killed_run_goes_on_with_what_is_left_and_as_it_had_decided(competition, tmp_path, monkeypatch):
    """Killed right after a state was saved, so that both runs have the same clock."""
    config = ASKED.model_copy(update={"save_steps": 1, "folds": 2})
    profile = {"slow_after": 350.0, "slow_factor": 2.0, "begin": 0.0}
    whole, _ = on(machine(**profile), 12, competition, tmp_path / "whole", config)
    decisions = json.loads((tmp_path / "whole" / "time.json").read_text(encoding="utf-8"))["decisions"]
    assert any(decision["step"] > 0 for decision in decisions)  # the slow-down was answered
    stopped, save, saved = machine(**profile), FoldTraining.save, []

    def fatal(self):
        save(self)
        saved.append(self)
        if len(saved) == 30:
            self.run.pacer.note()
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(FoldTraining, "save", fatal)
        with pytest.raises(Killed):
            on(stopped, 12, competition, tmp_path / "stopped", config)
    with stopped.running():
        limit = TimeLimit(math.inf, stopped.now, stopped.clock)  # resumed without --minutes: the run's own limit holds
        resumed = run(competition, tmp_path / "stopped", config, resume=True, limit=limit)
    assert limit.used_before == pytest.approx(stopped.now - limit.used + limit.used_before)
    assert limit.seconds == 720
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))
    assert np.array_equal(whole.oof_probs, resumed.oof_probs, equal_nan=True)


def test_a_run_without_time_left_is_not_resumed(competition, tmp_path):
    on(machine(), 8, competition, tmp_path / "run")
    account = json.loads((tmp_path / "run" / "time.json").read_text(encoding="utf-8"))
    (tmp_path / "run" / "time.json").write_text(json.dumps(account | {"used": 481.0}), encoding="utf-8")
    with pytest.raises(TimeIsUpError, match=r"has used 8\.0 of its 8 minutes"):
        run(competition, tmp_path / "run", resume=True, limit=TimeLimit(480.0))
    result = run(competition, tmp_path / "run", ASKED.model_copy(update={"minutes": 1e6}), resume=True)
    assert len(result.folds) == 3  # more minutes: what had no time is trained after all


def test_a_stall_is_no_slow_machine_but_a_slow_down_is():
    speed = Speed(1.0)
    assert speed.seconds == 1.0
    for seconds in [2.0] * 10 + [500.0] + [2.0] * 5:
        speed.add(seconds)
    assert speed.seconds == pytest.approx(2.0)
    for _ in range(40):
        speed.add(6.0)
    assert speed.seconds == pytest.approx(6.0)


def test_a_clear_change_of_speed_is_believed_after_some_steps_in_a_row():
    speed = Speed(1.0)

    def after(*steps):
        return [(speed.add(seconds), speed.seconds)[1] for seconds in steps]

    assert after(*[15.0] * 18)[-1] == 15.0  # a cold epoch
    assert after(5.0, 5.0, 5.0)[-1] > 12
    assert speed.add(5.0)
    assert speed.seconds == 5.0
    assert after(50.0, 40.0)[-1] < 20  # two stalls
    assert after(*[5.0] * 40)[-1] == 5.0
    assert after(12.0, 12.0)[-1] < 6
    assert after(12.0)[-1] == 12.0


def test_a_prediction_that_takes_longer_than_before_is_believed_at_once():
    measured = Measured(Costs(1.0, 0.5, validation=10.0, start=1.0, finish=10.0, predict=20.0))
    for seconds in (20.0, 20.0, 50.0):
        measured.took("predict", seconds)
    assert measured.costs.predict == 50.0
    measured.took("predict", 21.0)
    assert measured.costs.predict == 21.0


def test_what_is_not_measured_all_the_time_grows_with_the_step():
    measured = Measured(Costs(1.0, 0.5, validation=10.0, start=1.0, finish=10.0, predict=20.0))
    for _ in range(8):
        measured.step(2.0, frozen=False)
    assert measured.costs.validation == pytest.approx(10.0)
    assert (
        measured.costs.predict == 20.0
    )  # the first steps are the measure; that they are slower than expected says nothing of the rest
    measured.took("validation", 12.0)
    for _ in range(40):
        measured.step(4.0, frozen=False)
    assert (measured.costs.validation, measured.costs.predict) == (pytest.approx(24.0), pytest.approx(40.0))


def test_the_bar_and_the_first_line_tell_the_same_time():
    config = ASKED.model_copy(update={"folds": 1})
    fold, runtime = Fold(0, np.arange(24), np.arange(12)), Runtime(torch.device("cpu"), pictures_per_second=2.0)
    pacer = Pacer(None, expected_costs(config, fold, runtime))
    pacer.begin(0, Work(STEPS, 8 * STEPS), 1)
    assert pacer.steps_left == 8 * STEPS
    assert pacer.seconds_left == pytest.approx(estimate(config, (fold,), runtime))


@pytest.mark.parametrize(
    ("own", "card", "platform", "minutes"),
    [(0, 0, "", 0), (90, 120, "", 90), (90, 60, "", 60), (0, 60, "30", 30), (0, 0, "5", 5)],
)
def test_the_shortest_limit_holds(monkeypatch, own, card, platform, minutes):
    monkeypatch.setenv("FLYAI_MINUTES", platform)
    app = App.model_validate({"competition": {"id": "Tiny", "minutes": card}})
    assert within_limits(Config(minutes=own), app).minutes == minutes


def test_a_limit_of_the_platform_that_is_no_number(monkeypatch):
    monkeypatch.setenv("FLYAI_MINUTES", "soon")
    with pytest.raises(ConfigError, match="FLYAI_MINUTES is 'soon'"):
        within_limits(Config(), App.model_validate({"competition": {"id": "Tiny"}}))


def test_the_report_is_left_out_where_no_time_is_left(tmp_path):
    assert _reported_in_time(tmp_path, TimeLimit(8.0)).startswith("left out: 8 s are left")
    assert _reported_in_time(tmp_path, TimeLimit(600.0, kept=595.0)).startswith("left out")
    assert _reported_in_time(tmp_path, TimeLimit(600.0, kept=296.0)).startswith(
        "left out"
    )  # the answers might take twice as long
    assert _reported_in_time(tmp_path / "none", TimeLimit(600.0)).startswith("not written")
