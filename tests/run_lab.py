"""Tiny runs for tests that stop and resume them: a run, a sudden end, and what must be the same afterwards."""

from __future__ import annotations

from benchmarks.killed import differing
from recipe.config import Config
from recipe.data.reading import read
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.train import RunOptions, cross_validate
from recipe.training.fold import FoldTraining
from recipe.training.run import Prepared

TINY = Config(
    backbone="test_efficientnet",
    pretrained=False,
    image_size=32,
    epochs=1,
    batch_size=8,
    folds=2,
    memory_format="contiguous",
    optimizer="adamw()",
    lr=0.01,
    augment="hflip()",
    views="identity()",
    workers=1,
    threads=1,  # else a timing chooses, and another choice gives other last digits
    precision="float32",
)
FAST = TINY.model_copy(
    update={"epochs": 3, "optimizer": "sam(adamw(), rho=0.05)", "mix": "mixup(alpha=0.2)", "ema_decay": 0.9}
)


def prepared(competition, config=FAST):
    """A competition and settings, ready to train."""
    table = read(competition)
    begun = start(config, len(table.classes))
    return Prepared(begun, table, Pictures(table.paths, short_side(begun.preprocessing)))


def run(competition, folder, config=FAST, **how):
    ready = prepared(competition, config)
    return ready.table, cross_validate(ready, folder, RunOptions(**how))


def killed_after(monkeypatch, steps):
    """The run ends without a word after so many steps, counted over its folds; what was saved until then is all there
    is.
    """
    taken, after_step = [], FoldTraining._after_step

    def fatal(self, *words):
        taken.append(self)
        after_step(self, *words)
        if len(taken) == steps:
            raise Killed

    monkeypatch.setattr(FoldTraining, "_after_step", fatal)


class Killed(BaseException):
    """What no handler may catch."""


def assert_same(first, second):
    """Bit for bit the same: log without wall times, weights, snapshots, out-of-fold files."""
    assert differing(first, second) == []
