"""The probe: logistic regression on the frozen network's features; the head's start, the score's floor.

Source: Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", 2022, section
3 (LP-FT: linear probing, then fine-tuning).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from protocol.language import tr
from protocol.strict import ConfigError
from recipe.components.views import build_views
from recipe.models.classifier import Classifier
from recipe.models.start import Start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import Preprocessing
from recipe.serving.torch import run_views
from recipe.system.console import Bar
from recipe.system.processes.world import here
from recipe.system.runtime import Runtime, evaluating
from recipe.training.clock.limit import TimeLimit

TINY = 1e-12  # features that are all alike


@dataclass(frozen=True)
class Probe:
    """A linear classifier of raw features: logits = features @ weight.T + bias."""

    weight: np.ndarray  # (K, D) float64
    bias: np.ndarray  # (K,) float64

    def probs(self, features: np.ndarray) -> np.ndarray:
        """Class probabilities (N,K) float32 of features (N,D)."""
        logits = torch.from_numpy(features @ self.weight.T + self.bias)
        return logits.softmax(dim=1).float().numpy()

    def start(self, layer: nn.Linear) -> None:
        """Copies the probe into the head's classifier."""
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self.weight))
            layer.bias.copy_(torch.from_numpy(self.bias))


def probe_features(
    model: Classifier, pictures: Iterable[np.ndarray], preprocessing: Preprocessing, runtime: Runtime
) -> np.ndarray:
    """Penultimate features (N,D) float32 of the centre crops, BatchNorm under its stored statistics."""

    def forward(images: torch.Tensor) -> torch.Tensor:
        with evaluating(model), runtime.autocast():
            return model.embed(images).float()

    views = build_views("identity()", preprocessing.size)
    found = [features[0, 0] for features in run_views([forward], pictures, views, preprocessing, runtime)]
    return np.stack(found) if found else np.zeros((0, 0), np.float32)


def frozen_features(
    model: Classifier, crops: Iterable[np.ndarray], preprocessing: Preprocessing, runtime: Runtime
) -> torch.Tensor:
    """What the head takes, (N,D) or (N,C,h,w) float32 on the device, of finished crops (S,S,3) uint8."""
    parts = []
    stream = iter(crops)
    while chunk := list(itertools.islice(stream, 64)):
        images = torch.from_numpy(np.stack(chunk)).to(runtime.device).permute(0, 3, 1, 2)
        with evaluating(model), runtime.autocast():
            parts.append(model.features(preprocessing.normalise(images)).float())
    return torch.cat(parts).clone() if parts else torch.zeros(0)


def fit_probe(features: np.ndarray, labels: np.ndarray, classes: int, c: float) -> Probe:
    """Logistic regression on scaled features, the scale folded into the weights.

    A feature is divided by its deviation, but never by less than the typical one (the root mean square over features).
    Dividing by less makes the head live on features that hardly vary, and the first steps of fine-tuning, which move
    all features alike, then wreck it: on mushroom4, one epoch of SGD at 0.001 ended at 0.901 instead of 0.937
    (docs/measured.md).

    Args:
        features: (N,D) of the training rows.
        labels: (N,) in [0, classes); a class without rows gets the lowest bias.
        c: inverse strength of the L2 penalty.
    """
    from sklearn.linear_model import LogisticRegression

    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    scale = np.maximum(deviation, max(float(np.sqrt(np.mean(deviation**2))), TINY))
    model = LogisticRegression(C=c, max_iter=1000).fit((features - mean) / scale, labels)
    rows, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # one row for the second class against the first
        rows, intercept = np.concatenate([-rows, rows]) / 2, np.concatenate([-intercept, intercept]) / 2
    weight, bias = np.zeros((classes, features.shape[1])), np.full(classes, intercept.min() - 10)
    weight[model.classes_] = rows / scale
    bias[model.classes_] = intercept - (rows / scale) @ mean
    return Probe(weight, bias)


def start_features(
    start: Start, pictures: Pictures, runtime: Runtime, limit: TimeLimit | None = None
) -> np.ndarray | None:
    """Probe features of all rows, computed once for all folds: the frozen network is the same in each.

    Raises:
        TimeIsUpError: they take longer than there is time.
    """
    if not start.config.probes:
        return None
    model = start.model.to(runtime.device, memory_format=runtime.memory_format)  # type: ignore[call-overload]
    if not isinstance(model.head.classifier, nn.Linear):
        if start.config.head_init == "probe":
            raise ConfigError(
                tr(
                    "head_init: probe needs a head that ends in a linear layer, not {head!r}; set head_init: random.",
                    head=start.config.head,
                )
            )
        return None
    rows = here().part(range(len(pictures)))
    with Bar(len(rows), "picture", tr("features for the probe")) as bar:

        def counted() -> Iterator[np.ndarray]:
            for row in rows:
                bar.advance()
                if limit:
                    limit.check(tr("computing the features for the probe"))
                yield pictures[row]

        return here().gathered(lambda: probe_features(model, counted(), start.preprocessing, runtime))
