"""The range test: on curves and losses whose steepest point is known, and on the update of a real run."""

from __future__ import annotations

import dataclasses
import shlex

import numpy as np
import pytest
import run_lab
import torch
from hypothesis import given
from hypothesis import strategies as st
from run_lab import TINY
from torch import nn

import recipe.training.validation
from protocol.errors import UserError
from recipe.components.optimizers import OPTIMIZERS
from recipe.data.batch import Batch
from recipe.sweep.lr_curve import curve, exponential_rates, has_diverged, smooth, suggest, text_plot
from recipe.sweep.lr_find import TrialSteps, find, range_test, setting_for, trial_run
from recipe.system.runtime import Runtime
from recipe.training.step.update import NonFiniteLossError, Update

FAST = TINY.model_copy(
    update={
        "epochs": 3,
        "micro_batch": 3,
        "optimizer": "sam(sgd(), rho=0.05)",
        "mix": "mixup(alpha=0.2)",
        "lr_batch": 16,
    }
)


@pytest.fixture
def prepared(competition):
    return run_lab.prepared(competition, FAST)


def test_rates_grow_by_a_constant_factor():
    rates = exponential_rates(1e-5, 1.0, 11)
    assert rates[0] == pytest.approx(1e-5)
    assert rates[-1] == pytest.approx(1.0)
    assert np.allclose(rates[1:] / rates[:-1], 10**0.5)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.floats(0, 0.99))
def test_the_average_stays_within_the_values_and_begins_at_the_first(values, weight):
    averages = smooth(np.array(values), weight)
    assert averages[0] == pytest.approx(values[0])
    assert min(values) - 1e-6 <= averages.min() <= averages.max() <= max(values) + 1e-6


@pytest.mark.limit("recipe.sweep.lr_curve", "smooth")
def test_weight_0_leaves_the_values_as_they_are():
    values = np.random.default_rng(0).normal(size=20)
    assert np.allclose(smooth(values, 0.0), values)


def test_smoothing_does_not_shift_the_curve():
    """A loss that is a line over the logarithm of the rate stays that line, with any weight."""
    rates = exponential_rates(1e-6, 1.0, 100)
    found = curve(rates, 3 - 0.5 * np.log(rates))
    assert np.allclose(found.smooth_losses, 3 - 0.5 * np.log(found.smooth_rates))


@pytest.mark.parametrize("centre", [1e-4, 1e-3, 1e-2])
def test_the_steepest_point_of_a_known_curve(centre):
    """The loss falls along a sigmoid around `centre` and rises from 30 times that on."""
    rates = exponential_rates(1e-7, 10.0, 200)
    fall = 1 / (1 + np.exp(-np.log(rates / centre) / 0.7))
    losses = 2 - fall + np.maximum(0, np.log(rates / (30 * centre))) ** 2
    suggestion = suggest(curve(rates, losses + np.random.default_rng(0).normal(scale=0.01, size=200)))
    assert centre / 2 < suggestion.steepest < centre * 2
    assert suggestion.steepest < suggestion.minimum < 100 * centre
    assert suggestion.tenth == pytest.approx(suggestion.minimum / 10)
    assert suggestion.lr == min(suggestion.steepest, suggestion.tenth)
    assert suggestion.clear


def test_noise_alone_is_not_called_a_fall():
    clear = []
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(scale=0.3, size=100)
        clear.append(suggest(curve(exponential_rates(1e-6, 1, 100), 2 + noise)).clear)
    assert np.mean(clear) < 0.5
    assert suggest(curve(np.array([0.1, 0.2]), np.array([1.0, 2.0]))) is None


def test_divergence_is_a_multiple_of_the_lowest_or_no_number():
    assert not has_diverged([1.0] * 7 + [3.0])
    assert has_diverged([1.0] * 20 + [40.0])
    assert has_diverged([float("nan")])


def quadratic(curvature=10.0, optimizer="sgd(momentum=0)"):
    """A step of gradient descent on curvature / 2 * w**2: stable below 2 / curvature, best at 1 / curvature."""
    weight = nn.Parameter(torch.ones(1))
    group = {"params": [weight], "lr": 1.0, "lr_scale": 1.0, "weight_decay": 0.0, "name": "w", "kind": "weight"}
    made = OPTIMIZERS.build(optimizer, [group], 1.0)

    def step(lr):
        made.param_groups[0]["lr"] = lr
        losses = []

        def closure():
            weight.grad = curvature * weight.detach()
            losses.append(float(curvature / 2 * weight.detach() ** 2))
            return losses[-1]

        made.step(closure)
        return losses[0]

    return step


def test_a_quadratic_diverges_beyond_two_over_its_curvature():
    found = range_test(quadratic(curvature=10.0), exponential_rates(1e-4, 100.0, 120))
    assert found.diverged
    assert found.rates[-1] > 0.2
    assert suggest(found).lr < 0.2
    assert found.losses[0] == 5.0


def test_a_loss_that_is_no_number_ends_the_test():
    def step(lr):
        if lr > 0.1:
            raise NonFiniteLossError("the loss is nan", [], 0, lr)
        return 1.0

    found = range_test(step, exponential_rates(1e-3, 1.0, 31))
    assert found.diverged
    assert found.rates.max() <= 0.1


def test_the_network_of_the_run_is_untouched_and_nothing_is_written(prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = {key: value.clone() for key, value in prepared.start.model.state_dict().items()}
    files = sorted(tmp_path.rglob("*"))
    found = find(prepared, exponential_rates(1e-5, 1.0, 12))
    assert len(found.losses) >= 8
    assert np.isfinite(found.losses).all()
    assert all(torch.equal(before[key], value) for key, value in prepared.start.model.state_dict().items())
    assert sorted(tmp_path.rglob("*")) == files


def test_the_steps_are_those_of_training_with_sam_mixing_and_accumulation(prepared, monkeypatch):
    seen = []
    gradient = Update._gradient

    def counted(self, batch: Batch, seed, **how):
        seen.append((len(batch), self.runtime.micro_batch, batch.lam is not None, self.optimizer.param_groups[0]["lr"]))
        return gradient(self, batch, seed, **how)

    monkeypatch.setattr(Update, "_gradient", counted)
    rates = exponential_rates(1e-6, 1e-4, 5)
    found = find(prepared, rates)
    assert len(found.rates) == 5
    assert len(seen) == 10, "SAM takes two passes a step"
    assert {entry[:3] for entry in seen} == {(8, 3, True)}
    assert np.allclose([entry[3] for entry in seen[::2]], rates)


def test_the_weights_of_the_trial_do_move(prepared):
    trial = TrialSteps(trial_run(prepared), 0)
    before = [parameter.detach().clone() for parameter in trial.training.model.parameters()]
    trial.step(0.1)
    trial.close()
    assert any(not torch.equal(old, new) for old, new in zip(before, trial.training.model.parameters(), strict=True))
    assert isinstance(trial.training.run.runtime, Runtime)


@pytest.mark.parametrize(("ema", "passes"), [(0.0, 1), (0.9, 2)])
@pytest.mark.parametrize("asked", [6, 10_000])
def test_validation_is_timed_on_no_more_pictures_than_asked_for(prepared, monkeypatch, ema, passes, asked):
    """The time grows with the rows that are left out, so that a timing of some tells that of all."""
    config = FAST.model_copy(update={"ema_decay": ema})
    made = trial_run(prepared)
    run = dataclasses.replace(made, start=dataclasses.replace(made.start, config=config))
    trial, looked, views = TrialSteps(run, 0), [], recipe.training.validation.average_views

    def watched(models, pictures, *others):
        looked.append(len(pictures := list(pictures)))
        return views(models, pictures, *others)

    monkeypatch.setattr("recipe.training.validation.average_views", watched)
    ticks = iter([100.0, 103.0])
    monkeypatch.setattr("recipe.sweep.lr_find.time.perf_counter", lambda: next(ticks))
    seconds = trial.seconds_to_validate(asked)
    trial.close()
    rows = len(trial.training.fold.valid_rows)
    assert looked == passes * [min(asked, rows)]
    assert seconds == pytest.approx(3.0 * rows / min(asked, rows))


def test_the_setting_undoes_the_scaling_by_batch_size():
    assert FAST.scaled_lr == pytest.approx(0.005)
    lr = setting_for(0.02, FAST)
    assert lr == pytest.approx(0.04)
    assert FAST.model_copy(update={"lr": lr}).scaled_lr == pytest.approx(0.02)


def test_text_plot_shows_the_curve_and_its_marks():
    rates = exponential_rates(1e-6, 1.0, 100)
    found = curve(rates, 2 - 1 / (1 + (1e-3 / rates)))
    text = text_plot(found, suggest(found), width=40, height=8)
    lines = text.splitlines()
    assert len(lines) == 10
    assert "*" in lines[0]
    assert "|" in lines[1].split("|", 1)[1] or ":" in lines[1]
    assert max(map(len, lines)) <= 52


def test_the_command_writes_its_files_and_says_how_to_train(competition, tmp_path, monkeypatch, capsys):
    from recipe.__main__ import main

    monkeypatch.chdir(tmp_path)
    app = (
        "competition: {id: Tiny}\nrecipe: {pretrained: false, backbone: test_efficientnet}\nprofiles: {cpu: "
        "{image_size: 32}}\n"
    )
    (tmp_path / "app.yaml").write_text(app, encoding="utf-8")
    flags = "--steps 10 --folds 2 -b 8 --workers 1 --profile cpu --optimizer sam(sgd()) --lr 0.5"
    assert main(["lr-find", "--data", str(competition), *flags.split()]) == 0
    printed = capsys.readouterr().out
    data = shlex.quote(str(competition))
    assert f" main.py --data {data} --profile cpu --batch-size 8 --folds 2 --optimizer 'sam(sgd())' --lr " in printed
    folder = tmp_path / "data/output/lr_find"
    assert {path.name for path in folder.iterdir()} == {"lr_find.png", "lr_find.csv", "lr_find.txt"}
    assert (folder / "lr_find.png").read_bytes().startswith(b"\x89PNG")
    assert main(["lr-find", "--profile", "cpu"]) == 1
    assert "python -m flyai_local download Tiny" in capsys.readouterr().err


def test_a_range_that_makes_no_sense_is_refused():
    import argparse

    from recipe.commands.lr_find import _check

    asked = type("Asked", (), {"config": FAST})
    for wrong in ({"steps": 3}, {"lowest": 0.0}, {"lowest": 2.0, "highest": 1.0}, {"fold": 2}):
        arguments = argparse.Namespace(**({"steps": 50, "lowest": 1e-5, "highest": 1.0, "fold": 0} | wrong))
        with pytest.raises(UserError):
            _check(arguments, asked)
