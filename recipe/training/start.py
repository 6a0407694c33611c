"""A fold at its start: network, probe, loader and kept features, as functions of the job and the fold."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from recipe.components.samplers import SAMPLERS
from recipe.data.folds import Fold
from recipe.models.classifier import Classifier
from recipe.system.runtime import Runtime
from recipe.training.loader import Loader
from recipe.training.prefetch import transform_of
from recipe.training.probe import Probe, fit_probe, frozen_features
from recipe.training.run import Job


def seed_of(job: Job, fold: Fold) -> int:
    """The seed of everything random in a fold."""
    return int(np.random.SeedSequence([job.config.seed, fold.index]).generate_state(1)[0])


def start_network(job: Job, runtime: Runtime, seed: int) -> Classifier:
    """A copy of the job's network whose head starts from the fold's seed."""
    torch.manual_seed(seed)
    model = copy.deepcopy(job.model)
    for layer in model.head.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()  # type: ignore[operator]
    return model.to(runtime.device, memory_format=runtime.memory_format)  # type: ignore[call-overload]


def start_probe(job: Job, fold: Fold, model: Classifier) -> Probe | None:
    """The probe of a fold, already in the head of its network; None where the head starts at random."""
    if job.features is None:
        return None
    rows = fold.train_rows
    probe = fit_probe(job.features[rows], job.table.labels[rows], len(job.table.classes), job.config.probe_c)
    assert isinstance(model.head.classifier, nn.Linear)  # held by cross_validate, which makes the features
    probe.start(model.head.classifier)
    return probe


def class_counts(job: Job, fold: Fold) -> np.ndarray:
    """(K,) float32: training rows of each class."""
    return np.bincount(job.table.labels[fold.train_rows], minlength=len(job.table.classes)).astype(np.float32)


def loader_of(job: Job, fold: Fold, runtime: Runtime, seed: int) -> Loader:
    """The batches of a fold's training rows."""
    rows = fold.train_rows
    transform = transform_of(job.config, job.preprocessing)
    weights = SAMPLERS.build(job.config.sampler, job.table.labels[rows])
    return Loader(job.pictures, job.table.labels, rows, job.config.batch_size, transform, seed=seed,
                  weights=weights, workers=job.config.workers, pin=runtime.device.type == "cuda")  # fmt: skip


def kept_features(job: Job, fold: Fold, runtime: Runtime, model: Classifier, loader: Loader) -> torch.Tensor | None:
    """What the head of a frozen backbone takes, by row of the table; None where augmentation or mixing changes the
    pictures.
    """
    if job.config.augment.strip() or job.config.mix != "none()" or job.config.consistency:
        return None
    rows = fold.train_rows
    found = frozen_features(model, (loader.transform(job.pictures[row], 0) for row in rows), job.preprocessing, runtime)
    features = torch.zeros(len(job.table), *found.shape[1:], device=runtime.device)
    features[torch.from_numpy(rows).to(features.device)] = found
    return features
