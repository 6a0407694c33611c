"""A run that ends at any moment goes on to the same bits; what is damaged is recognised, in words."""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from run_lab import FAST, Killed, assert_same, killed_after, run
from safetensors.torch import load_file, save_file

from benchmarks.killed import differing
from protocol.strict import ConfigError
from recipe.config import Config
from recipe.runs.sealed import write_sealed
from recipe.system.atomic import CheckpointError, DamagedError
from recipe.training.state_file import SaveRhythm, read_state, write_state


@pytest.mark.parametrize(
    ("steps", "save_steps", "workers"), [(1, 1, 1), (3, 1, 2), (4, 3, 1), (5, 2, 3), (9, 1, 1), (11, 5, 2), (12, 1, 1)]
)
def test_a_killed_run_ends_where_the_whole_one_does(competition, tmp_path, steps, save_steps, workers):
    """2 folds of 3 epochs of 2 steps, killed after any step: inside an epoch, before a validation, between epochs and
    folds.
    """
    config = FAST.model_copy(
        update={"save_steps": save_steps, "workers": workers, "schedule": "plateau(patience=0)", "snapshot_steps": 2}
    )
    run(competition, tmp_path / "whole", config)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, steps)
        run(competition, tmp_path / "stopped", config)
    run(competition, tmp_path / "stopped", config.model_copy(update={"workers": 1}), resume=True)
    assert_same(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.parametrize(
    "changes",
    [
        {"consistency": 12.0, "augment": "hflip(), augmix()", "mix": "none()"},
        {"l1": 1e-5, "loss": "deferred(ce(), class_balanced(), start=0.5)", "reduction": "ohem(keep=0.5)"},
        {"head": "cosine(scale=30)", "loss": "arcface()"},
        {"backbone": "test_resnet", "init": "kaiming", "zero_gamma": True, "activation": "silu"},
        {
            "sampler": "class_balanced()",
            "schedule": "plateau()",
            "clip_grad": 1.0,
            "precision": "bf16",
            "grad_checkpoint": True,
        },
        {"precision": "fp16", "micro_batch": 3, "layer_decay": 0.8, "head_lr_scale": 2.0, "lr_batch": 32},
        {"optimizer": "looksam(ranger(k=2), k=2)", "batch_norm": "train", "memory_format": "channels_last"},
        {"optimizer": "gsam(lookahead(adamw(), k=3), rho_min=0.01)", "memory_format": "channels_last", "patience": 1},
    ],
    ids=lambda changes: ", ".join(changes),
)
def test_techniques_in_the_main_job_and_over_a_resume(competition, tmp_path, changes):
    """Each goes with SAM, an average and mixing where allowed, and a run that is killed inside an epoch equals an
    uninterrupted one.
    """
    config = Config(**(FAST.model_dump() | {"epochs": 2, "save_steps": 1} | changes))
    _, whole = run(competition, tmp_path / "whole", config, only_fold=0)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, 3)
        run(competition, tmp_path / "stopped", config, only_fold=0)
    run(competition, tmp_path / "stopped", config, only_fold=0, resume=True)
    assert np.isfinite(whole.folds[0].oof_probs).all()
    assert_same(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.parametrize("augment", ["hflip()", ""], ids=["pictures", "stored features"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_two_stages(competition, tmp_path, augment, steps):
    """Killed in the first stage, at its border, in the second; 18 rows, 12 per step, one step an epoch."""
    config = Config(
        backbone="tf_efficientnet_lite0",
        image_size=32,
        epochs=4,
        freeze_epochs=2,
        batch_size=12,
        folds=2,
        save_steps=1,
        memory_format="contiguous",
        head_init="random",
        optimizer="lookahead(adamw(), k=2)",
        lr=0.01,
        augment=augment,
        workers=1,
    )
    run(competition, tmp_path / "whole", config, only_fold=1)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, steps)
        run(competition, tmp_path / "stopped", config, only_fold=1)
    run(competition, tmp_path / "stopped", config, only_fold=1, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "stopped")


def test_a_teacher_and_the_probe_over_a_resume(competition, tmp_path):
    lite = Config(
        backbone="tf_efficientnet_lite0",
        image_size=32,
        epochs=2,
        batch_size=9,
        folds=2,
        memory_format="contiguous",
        save_steps=1,
        optimizer="sgd()",
        workers=1,
    )
    run(competition, tmp_path / "teacher", lite)
    config = lite.model_copy(update={"teacher": str(tmp_path / "teacher")})
    run(competition, tmp_path / "whole", config, only_fold=0)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, 3)
        run(competition, tmp_path / "stopped", config, only_fold=0)
    run(competition, tmp_path / "stopped", config, only_fold=0, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "stopped")


@pytest.fixture
def stopped(competition, tmp_path):
    """A whole run and one that was killed in its last epoch, with two states: (competition, whole, stopped,
    settings).
    """
    config = FAST.model_copy(update={"save_steps": 1})
    run(competition, tmp_path / "whole", config, only_fold=0)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        killed_after(patch, 5)
        run(competition, tmp_path / "stopped", config, only_fold=0)
    return competition, tmp_path / "whole", tmp_path / "stopped", config


def test_the_comparison_of_two_runs_sees_every_part(competition, tmp_path):
    """Else every test here could pass for nothing."""
    run(competition, tmp_path / "whole", FAST.model_copy(update={"epochs": 1}), only_fold=0)
    other = Path(shutil.copytree(tmp_path / "whole", tmp_path / "other"))
    assert differing(tmp_path / "whole", other) == []
    weights = load_file(other / "fold0" / "model.safetensors")
    name = next(iter(weights))
    save_file(weights | {name: weights[name] + 1}, other / "fold0" / "model.safetensors")
    with np.load(other / "fold0" / "oof.npz") as stored:
        kept = dict(stored)
    np.savez(other / "fold0" / "oof.npz", **(kept | {"oof_probs": kept["oof_probs"] * 2}))
    (other / "log.jsonl").write_text("", encoding="utf-8")
    (other / "oof.csv").write_text("image_path,label,fold\n", encoding="utf-8")
    assert differing(tmp_path / "whole", other) == sorted(
        ["log.jsonl", "oof.csv", f"fold0/model.safetensors {name}", "fold0/oof.npz oof_probs"]
    )


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


HARM = {
    "flipped": lambda path: flip(path, -9),
    "flipped name": lambda path: flip(path, 300),
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "empty": lambda path: path.write_bytes(b""),
    "foreign": lambda path: save_file({"weight": torch.zeros(3)}, path),
    "a pickle": lambda path: path.write_bytes(pickle.dumps({"epoch": 9})),
    "another run's": lambda path: write_sealed(
        path, {}, {"kind": "state", "tree": {"dict": [["run", "other"], ["fold", 0]]}}
    ),
    "a checkpoint": lambda path: shutil.copy(path.parent.parent / "model.safetensors", path),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_state_leaves_the_older_one(stopped, harm, capsys):
    competition, whole, folder, config = stopped
    older, newest = sorted((folder / "fold0" / "last").iterdir())
    assert (older.name, newest.name) == ("epoch0001-step000002.safetensors", "epoch0002-step000001.safetensors")
    HARM[harm](newest)
    run(competition, folder, config, only_fold=0, resume=True)
    said = capsys.readouterr().out
    assert "the state before it is used" in said
    assert "goes on after epoch 1, step 2" in said
    assert_same(whole, folder)


def test_no_whole_state_begins_the_fold_anew(stopped, capsys):
    competition, whole, folder, config = stopped
    for path in (folder / "fold0" / "last").iterdir():
        HARM["torn"](path)
    run(competition, folder, config, only_fold=0, resume=True)
    assert "no other is left, the fold begins anew" in capsys.readouterr().out
    assert_same(whole, folder)


def test_a_state_whose_checkpoint_is_damaged_is_not_gone_on_from(stopped, capsys):
    competition, whole, folder, config = stopped
    flip(folder / "fold0" / "model.safetensors", -3)
    run(competition, folder, config, only_fold=0, resume=True)
    assert "model.safetensors is damaged" in capsys.readouterr().out
    assert_same(whole, folder)


def test_a_checkpoint_younger_than_the_state(stopped):
    """The kill came after a best checkpoint was written and before the next state: its steps are taken again."""
    competition, whole, folder, config = stopped
    (folder / "fold0" / "model.safetensors").write_bytes((whole / "fold0" / "model.safetensors").read_bytes())
    run(competition, folder, config, only_fold=0, resume=True)
    assert_same(whole, folder)


def test_a_state_of_an_earlier_version_is_refused(stopped):
    competition, _, folder, config = stopped
    torch.save({}, folder / "fold0" / "last" / "state.pt")
    with pytest.raises(CheckpointError, match="saved by an earlier version"):
        run(competition, folder, config, only_fold=0, resume=True)


@pytest.mark.parametrize("name", ["model.safetensors", "oof.npz", "fold.json", "result.json"])
@pytest.mark.parametrize("harm", ["flipped", "torn", "empty", "gone"])
def test_a_damaged_finished_fold_is_trained_anew(competition, tmp_path, capsys, name, harm):
    config = FAST.model_copy(update={"epochs": 1})
    run(competition, tmp_path / "whole", config)
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    path = tmp_path / "run" / "fold1" / name
    path.unlink() if harm == "gone" else HARM[harm](path)
    run(competition, tmp_path / "run", config, resume=True)
    said = capsys.readouterr().out
    assert ("the fold is trained anew" in said) == ((name, harm) != ("result.json", "gone"))
    assert "fold 0: finished before" in said
    assert_same(tmp_path / "whole", tmp_path / "run")


def test_finished_folds_keep_no_states(competition, tmp_path):
    run(competition, tmp_path / "run", FAST.model_copy(update={"epochs": 1, "save_steps": 1}), only_fold=0)
    assert not (tmp_path / "run" / "fold0" / "last").exists()


def test_a_torn_log_is_told_again(competition, tmp_path):
    config = FAST.model_copy(update={"epochs": 2})
    run(competition, tmp_path / "whole", config)
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-40])
    run(competition, tmp_path / "run", config, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "run")


def trees(tensors):
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), tensors)
    keys = st.one_of(st.integers(), st.text())
    return st.recursive(
        leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner), max_leaves=12
    )


SHAPES = st.lists(st.integers(0, 4), max_size=4)
KINDS = st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool, torch.uint8])


@st.composite
def arranged(draw):
    """A tensor of any shape, type and order of its dimensions in memory."""
    shape = draw(SHAPES)
    return (
        torch.ones(shape).cumsum(0).to(draw(KINDS)).permute(draw(st.permutations(range(len(shape)))))
        if shape
        else torch.tensor(3)
    )


@given(trees(arranged()))
def test_a_state_comes_back_as_it_was(tmp_path_factory, state):
    """Types, keys, values, and the strides of tensors."""
    folder = tmp_path_factory.mktemp("state")
    back = read_state(write_state(folder, {"all": state}, 0, 0))["all"]
    assert plain(back) == plain(state)


def plain(value):
    if isinstance(value, torch.Tensor):
        strides = (
            [stride for stride, size in zip(value.stride(), value.shape, strict=True) if size > 1]
            if value.numel()
            else None
        )
        return "tensor", str(value.dtype), tuple(value.shape), strides, value.float().tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, (list, tuple)) else (type(value), value)


@given(st.data())
def test_any_changed_byte_of_a_state_is_noticed(tmp_path_factory, data):
    path = write_state(tmp_path_factory.mktemp("state"), {"weight": torch.arange(50.0), "epoch": 3}, 0, 0)
    content = bytearray(path.read_bytes())
    at, by = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    content[at] ^= by
    path.write_bytes(content)
    with contextlib.suppress(DamagedError):
        assert torch.equal(read_state(path)["weight"], torch.arange(50.0))  # a byte of padding, or a space in the JSON


def test_saving_is_rare_enough_to_be_cheap_and_says_what_that_costs():
    now, said = [0.0], []
    rhythm = SaveRhythm(60, 0, said.append, lambda: now[0])
    now[0] = 59
    assert not rhythm.due()
    assert rhythm.due(coming=1)
    rhythm.saved(took=1.0)
    now[0] = 59 + 60
    assert rhythm.due()
    assert not said
    rhythm.saved(took=3.0)
    now[0] += 149
    assert not rhythm.due()
    now[0] += 1
    assert rhythm.due()
    rhythm.saved(took=3.0)
    assert len(said) == 1
    assert "every 150 s" in said[0]


def test_saving_by_steps():
    rhythm = SaveRhythm(60, 3, lambda text: None, lambda: 0.0)
    dues = []
    for _ in range(7):
        rhythm.stepped()
        dues.append(rhythm.due())
        if dues[-1]:
            rhythm.saved(0.1)
    assert dues == [False, False, True, False, False, True, False]


def test_a_run_from_before_the_rooms_is_refused_in_one_sentence_and_goes_on_where_one_accepts(stopped, capsys):
    competition, whole, folder, config = stopped
    path = folder / "run.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["code"] = {f"recipe.module{number}": f"{number:016x}" for number in range(150)}
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"begun with code that was rearranged since\. Give") as refused:
        run(competition, folder, config, only_fold=0, resume=True)
    assert "module1" not in str(refused.value)
    run(competition, folder, config, only_fold=0, resume=True, anyway=True)
    assert "goes on in spite of code that was rearranged since" in capsys.readouterr().out
    assert_same(whole, folder)


def altered(folder, **changes):
    """The run was begun under something else."""
    path = folder / "run.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        content[key] |= value
    path.write_text(json.dumps(content), encoding="utf-8")


def test_other_code_versions_and_settings_are_named_and_accepted_only_on_demand(stopped, capsys):
    competition, whole, folder, config = stopped
    altered(folder, code={"recipe/components/mixes.py": "0" * 16}, versions={"torch": "1.0"}, config={"lr": 0.5})
    with pytest.raises(
        ConfigError,
        match=r"begun with lr: 0\.5 \(now 0\.01\), another recipe/components/mixes\.py, torch 1\.0 \(now "
        r".*--resume-anyway",
    ):
        run(competition, folder, config, only_fold=0, resume=True)
    run(competition, folder, config, only_fold=0, resume=True, anyway=True)
    assert "goes on in spite of lr: 0.5 (now 0.01), another recipe/components/mixes.py" in capsys.readouterr().out
    assert_same(whole, folder)
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (about["config"]["lr"], len(about["changed"])) == (0.01, 3)


@pytest.mark.parametrize(
    ("key", "value"), [("backbone", "test_vit"), ("folds", 3), ("seed", 7), ("optimizer", "sgd()"), ("batch_size", 4)]
)
def test_what_no_state_can_go_on_under_is_refused_even_then(stopped, key, value):
    competition, _, folder, config = stopped
    altered(folder, config={key: value})
    with pytest.raises(ConfigError, match=f"begun with {key}: "):
        run(competition, folder, config, only_fold=0, resume=True, anyway=True)


def test_a_finished_run_ends_at_once_with_its_results(competition, tmp_path, capsys, monkeypatch):
    config = FAST.model_copy(update={"epochs": 1})
    _, whole = run(competition, tmp_path / "run", config)
    monkeypatch.delattr("recipe.train.train_folds")
    _, again = run(competition, tmp_path / "run", config, resume=True)
    assert "nothing is trained" in capsys.readouterr().out
    assert np.array_equal(again.oof_probs, whole.oof_probs)
    assert again.scores == whole.scores
