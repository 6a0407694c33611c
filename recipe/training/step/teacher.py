"""A teacher's probabilities of every batch, for distillation: from a table, from a run, or from a network of timm.

An oof.csv holds, for every row, what a model said that never trained on it: nothing leaks. Of a run folder the fold of
the same number teaches, which never saw this fold's validation rows either. A timm network teaches where it knows the
same classes.

Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from protocol.language import tr
from protocol.strict import ConfigError
from recipe.config import Config
from recipe.data.batch import Batch
from recipe.data.folds import Fold
from recipe.data.table import Table
from recipe.pictures.preprocessing import Preprocessing
from recipe.runs.checkpoint import load_checkpoint
from recipe.runs.folder import read_oof
from recipe.system.runtime import Runtime, evaluating
from recipe.training.step.distill import mixed_teacher

Teacher = Callable[[Batch], torch.Tensor]  # a mixed batch on the device to probabilities (B, K)


def build_teacher(
    config: Config, table: Table, fold: Fold, preprocessing: Preprocessing, runtime: Runtime
) -> Teacher | None:
    """The teacher that the settings name; None for an empty name.

    Raises:
        ConfigError: it does not exist, or knows other classes or other folds.
    """
    name = config.teacher
    if not name:
        return None
    path = Path(name).expanduser()
    if path.suffix == ".csv":
        return stored_teacher(taught(path, table), runtime)
    if path.is_dir():
        return _run_teacher(path, table, fold, config, preprocessing, runtime)
    return _timm_teacher(name, len(table.classes), preprocessing, runtime)


def taught(path: Path, table: Table) -> np.ndarray:
    """(N, K) float32 out-of-fold probabilities in the order of the table.

    Raises:
        RunError: the file is missing or of other classes.
        ConfigError: it has no prediction for a row.
    """
    probs = read_oof(path, table.classes).of(table.names)
    missing = [name for name, row in zip(table.names, probs, strict=True) if np.isnan(row[0])]
    if missing:
        raise ConfigError(
            tr(
                "teacher: {path} has no prediction for {missing} rows, for example {example!r}; train "
                "all its folds first.",
                path=path,
                missing=len(missing),
                example=missing[0],
            )
        )
    return probs


def stored_teacher(probs: np.ndarray, runtime: Runtime) -> Teacher:
    """A teacher that looks its probabilities (N, K) up by row, and mixes them as the pictures were."""
    table = torch.from_numpy(probs).to(runtime.device)
    return lambda batch: mixed_teacher(table[batch.rows], batch)


def _run_teacher(
    path: Path, table: Table, fold: Fold, config: Config, preprocessing: Preprocessing, runtime: Runtime
) -> Teacher:
    model, description = load_checkpoint(path / f"fold{fold.index}", runtime.device)
    if description.values != table.values:
        raise ConfigError(
            tr("teacher: the run in {path} knows other classes; train one on this competition.", path=path)
        )
    if (description.config.folds, description.config.seed) != (config.folds, config.seed):
        raise ConfigError(
            tr(
                "teacher: the run in {path} was made with folds: {its_folds} and seed: {its_seed}, so it has "
                "seen validation rows of this one (folds: {folds}, seed: {seed}); give the same, or "
                "name its oof.csv.",
                path=path,
                its_folds=description.config.folds,
                its_seed=description.config.seed,
                folds=config.folds,
                seed=config.seed,
            )
        )
    return live_teacher(model, description.preprocessing, preprocessing, runtime)


def _timm_teacher(name: str, classes: int, preprocessing: Preprocessing, runtime: Runtime) -> Teacher:
    import timm

    if not timm.is_model(name):
        raise ConfigError(tr("teacher: {name!r} is no oof.csv, no run folder and no timm name.", name=name))
    try:
        model = timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            tr(
                "teacher: the weights of {name!r} cannot be reached ({error}); give a run folder instead.",
                name=name,
                error=str(error).splitlines()[0],
            )
        ) from None
    if model.num_classes != classes:
        raise ConfigError(
            tr(
                "teacher: {name!r} knows {num_classes} classes and the competition {classes}; train a "
                "run and name its folder.",
                name=name,
                num_classes=model.num_classes,
                classes=classes,
            )
        )
    published: Any = model.pretrained_cfg
    own = Preprocessing(preprocessing.size, 1.0, tuple(published["mean"]), tuple(published["std"]))
    return live_teacher(model.to(runtime.device), own, preprocessing, runtime)


def live_teacher(model: nn.Module, own: Preprocessing, given: Preprocessing, runtime: Runtime) -> Teacher:
    """A network that looks at the very pictures the student sees, in its own normalisation."""
    scale = torch.tensor(given.std).div(torch.tensor(own.std)).view(1, 3, 1, 1).to(runtime.device)
    shift = (
        (torch.tensor(given.mean) - torch.tensor(own.mean))
        .div(torch.tensor(own.std))
        .view(1, 3, 1, 1)
        .to(runtime.device)
    )

    def teacher(batch: Batch) -> torch.Tensor:
        with evaluating(model), runtime.autocast():
            probs = model(torch.addcmul(shift, batch.images, scale)).float().softmax(dim=1)
        return probs.clone()  # out of inference mode

    return teacher
