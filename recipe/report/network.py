"""The first fold's network, as the report looks into it, and the pictures that it is looked at with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from recipe.models.classifier import Classifier
from recipe.pictures.preprocessing import Preprocessing
from recipe.report.evidence import Evidence
from recipe.runs.checkpoint import load_checkpoint
from recipe.runs.description import fold_folders
from recipe.system.runtime import Runtime, choose_device


@dataclass(frozen=True)
class Network:
    """A trained network and what its pictures need."""

    model: Classifier
    preprocessing: Preprocessing
    runtime: Runtime
    epoch: int  # that was kept; 0 is the start


def first_network(evidence: Evidence) -> Network:
    """The first trained fold, in evaluation mode, in float32."""
    folder = evidence.folder / f"fold{evidence.folds[0]}" if evidence.folds else fold_folders(evidence.folder)[0]
    device = choose_device()
    model, description = load_checkpoint(folder, device)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Network(
        model, description.preprocessing, Runtime(device, memory_format=torch.channels_last), description.epoch
    )


def spread(evidence: Evidence, rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of some rows, drawn with a fixed seed and as evenly over the classes as they allow."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(rows)
    labels = evidence.labels[rows]
    turn = np.zeros(len(rows), np.int64)  # how many of its class come before it
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    return rows[np.argsort(turn, kind="stable")[:most]]


def inputs(network: Network, crops: np.ndarray) -> torch.Tensor:
    """Crops (N, S, S, 3) uint8 as the network takes them."""
    images = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).to(network.runtime.device)
    return network.preprocessing.normalise(images)
