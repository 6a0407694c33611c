"""A fold at its start: network, probe, loader and kept features, as functions of the run and the fold."""

from __future__ import annotations

import copy
from typing import cast

import numpy as np
import torch
from torch import nn

from recipe.components.samplers import SAMPLERS
from recipe.data.folds import Fold
from recipe.models.classifier import Classifier
from recipe.system.runtime import Runtime
from recipe.training.contender.probe import fit_probe, frozen_features
from recipe.training.loader import Loader
from recipe.training.prefetch import transform_of
from recipe.training.run import Run
from recipe.training.step.batch_norm import over_processes
from recipe.training.step.fixed import lighten
from recipe.training.step.objective import Objective


def seed_of(run: Run, fold: Fold) -> int:
    """The seed of everything random in a fold."""
    return int(np.random.SeedSequence([run.config.seed, fold.index]).generate_state(1)[0])


def start_network(run: Run, runtime: Runtime, seed: int) -> Classifier:
    """A copy of the run's network whose head starts from the fold's seed."""
    model = copy.deepcopy(run.model)
    start_head(model, seed)
    lighten(model, run.config, runtime.device)
    model = model.to(runtime.device, memory_format=runtime.memory_format)  # type: ignore[call-overload]
    if not run.world.alone and not run.config.freezes_batch_norm:
        model = cast(Classifier, over_processes(model))
    run.world.share(list(model.state_dict().values()))  # another machine may have drawn other last digits
    return model


def start_head(model: Classifier, seed: int) -> None:
    """Draws the head anew."""
    torch.manual_seed(seed)
    for layer in model.head.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()  # type: ignore[operator]


def start_probe(run: Run, fold: Fold, model: Classifier) -> np.ndarray | None:
    """Puts the probe of a fold into the head of its network; its (n, K) probabilities for the validation rows, or None
    where the head starts at random.
    """
    if run.features is None:
        return None
    rows, features, classes = fold.train_rows, run.features, len(run.table.classes)
    probe = run.world.first(lambda: fit_probe(features[rows], run.table.labels[rows], classes, run.config.probe_c))
    assert isinstance(model.head.classifier, nn.Linear)  # held by start_features, which makes them
    probe.start(model.head.classifier)
    return probe.probs(run.features[fold.valid_rows])


def objective_of(run: Run, fold: Fold, runtime: Runtime, model: Classifier) -> Objective:
    """What a fold minimises."""
    counts = torch.from_numpy(class_counts(run, fold)).to(runtime.device)
    return Objective(run.config, counts, model.parameters())


def class_counts(run: Run, fold: Fold) -> np.ndarray:
    """(K,) float32: training rows of each class."""
    return np.bincount(run.table.labels[fold.train_rows], minlength=len(run.table.classes)).astype(np.float32)


def loader_of(run: Run, fold: Fold, runtime: Runtime, seed: int) -> Loader:
    """The batches of a fold's training rows."""
    rows = fold.train_rows
    transform = transform_of(run.config, run.preprocessing)
    weights = SAMPLERS.build(run.config.sampler, run.table.labels[rows])
    return Loader(run.pictures, run.table.labels, rows, run.config.batch_size, transform, seed=seed,
                  weights=weights, workers=run.config.workers, pin=runtime.device.type == "cuda",
                  shard=run.world.shard)  # fmt: skip


def kept_features(run: Run, fold: Fold, runtime: Runtime, model: Classifier, loader: Loader) -> torch.Tensor | None:
    """What a frozen backbone's head takes, by row of the table; None where augmentation or mixing changes it."""
    if run.config.augment.strip() or run.config.mix != "none()" or run.config.consistency:
        return None
    rows = fold.train_rows

    def of_part() -> np.ndarray:
        crops = (loader.transform(run.pictures[row], 0) for row in run.world.part(rows))
        return frozen_features(model, crops, run.preprocessing, runtime).cpu().numpy()

    found = torch.from_numpy(run.world.gathered(of_part)).to(runtime.device)
    features = torch.zeros(len(run.table), *found.shape[1:], device=runtime.device)
    features[torch.from_numpy(rows).to(features.device)] = found
    return features
