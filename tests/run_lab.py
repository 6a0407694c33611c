"""Tiny runs for tests that stop and resume them: a run, a sudden end, and what must be the same afterwards."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from safetensors.torch import load_file

from recipe.config import Config
from recipe.data import read
from recipe.fold import FoldTraining
from recipe.journal import read_logs
from recipe.pictures import Pictures
from recipe.plan import plan
from recipe.preprocessing import short_side
from recipe.train import cross_validate

FAST = Config(
    backbone="test_efficientnet", pretrained=False, image_size=32, epochs=3, batch_size=8, folds=2, memory_format="contiguous",
    optimizer="sam(adamw(), rho=0.05)", lr=0.01, mix="mixup(alpha=0.2)", augment="hflip()", ema_decay=0.9, views="identity()", workers=1,
)  # fmt: skip


def run(competition, folder, config=FAST, **how):
    table = read(competition)
    planned = plan(config, len(table.classes))
    return table, cross_validate(planned, table, Pictures(table.paths, short_side(planned.preprocessing)), folder, **how)


def killed_after(monkeypatch, steps):
    """The run ends without a word after so many steps, counted over its folds; what was saved until then is all there is."""
    taken, after_step = [], FoldTraining._after_step

    def fatal(self, *words):
        taken.append(self)
        after_step(self, *words)
        if len(taken) == steps:
            raise Killed

    monkeypatch.setattr(FoldTraining, "_after_step", fatal)


class Killed(BaseException):
    """What no handler may catch."""


def traces(folder):
    """All that a run leaves and that must not depend on interruptions: log without wall times, weights, out-of-fold files."""
    logs = [dataclasses.replace(log, seconds=0, pictures_per_second=0) for log in read_logs(folder / "log.jsonl")]
    tensors = {path.relative_to(folder): load_file(path) for path in sorted(folder.glob("fold*/**/*.safetensors"))}
    arrays = {path.relative_to(folder): dict(np.load(path)) for path in sorted(folder.glob("fold*/oof.npz"))}
    return logs, tensors, arrays, (folder / "oof.csv").read_bytes()


def assert_same(first, second):
    (logs, tensors, arrays, table), (other_logs, other_tensors, other_arrays, other_table) = traces(first), traces(second)
    assert logs == other_logs
    assert table == other_table
    assert tensors.keys() == other_tensors.keys()
    assert all(torch.equal(value, other_tensors[path][key]) for path, state in tensors.items() for key, value in state.items())
    assert all(np.array_equal(value, other_arrays[path][key]) for path, file in arrays.items() for key, value in file.items())
