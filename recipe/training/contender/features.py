"""Penultimate features of every picture in every view, by the fastest runtime that is installed and proves equal.

Frozen features are the same for all folds, so they are computed once. On one core OpenVINO needs a third of the time
of torch, ONNX Runtime a half (docs/measured.md); where neither is there, or its features differ, torch answers with
BatchNorm merged into the convolutions.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from protocol.language import tr
from recipe.components.views import build_views
from recipe.models.classifier import Classifier
from recipe.models.merged_batch_norm import merge_batch_norm
from recipe.pictures.preprocessing import Preprocessing
from recipe.serving.averaging import CROPS_PER_PASS, Networks, pass_views
from recipe.serving.equality import UnequalError, reference_pictures
from recipe.serving.parallel import Layout
from recipe.serving.runtimes import EXPORTED, UnusableError, answered, backend_of, on_cpu, run, together
from recipe.serving.torch import torch_networks
from recipe.system.runtime import Runtime, evaluating

log = logging.getLogger(__name__)
TOLERANCE = 1e-3  # of the largest feature: far below what moves an answer
OPSET = 17
FORMATS = ("onnx",)


class _Embedding(nn.Module):
    """A classifier up to its last layer."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model.embed(images)


class _FromPixels(nn.Module):
    """An embedding of pictures (B,S,S,3) uint8."""

    def __init__(self, embedding: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.embedding, self.preprocessing = embedding, preprocessing

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        scale = torch.tensor([1 / (255 * s) for s in self.preprocessing.std]).view(1, 3, 1, 1)
        shift = torch.tensor([-m / s for m, s in zip(self.preprocessing.mean, self.preprocessing.std, strict=True)])
        images = pictures.permute(0, 3, 1, 2).to(torch.float32)
        return self.embedding(torch.addcmul(shift.view(1, 3, 1, 1), images, scale))


class Extractor:
    """Features of pictures, (V,D) float32 each.

    Args:
        model: at its start; it is left as it is.
        views: of the settings.

    `how` says what computes them.
    """

    def __init__(self, model: Classifier, preprocessing: Preprocessing, runtime: Runtime, views: str) -> None:
        self.views = build_views(views, preprocessing.size)
        embedding = merge_batch_norm(_Embedding(model), preprocessing.size) if runtime.device.type == "cpu" else model
        if runtime.device.type == "cpu":  # as the runtimes compute them that the features are compared with
            runtime = replace(runtime, precision="float32")
        self.networks, self.how = _torch(model, embedding, preprocessing, runtime), "torch"
        if runtime.device.type == "cpu" and on_cpu("cpu"):
            self._try_exported(embedding, preprocessing)

    def __call__(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """(V, N, D) float32 of decoded pictures with the short side that the preprocessing names."""
        found = [features[0] for features in pass_views(self.networks, pictures, self.views, CROPS_PER_PASS)]
        return np.stack(found, axis=1)

    def _try_exported(self, embedding: nn.Module, preprocessing: Preprocessing) -> None:
        pictures = reference_pictures(preprocessing.size, 2)
        expected = self.networks(pictures)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "features.onnx"
            for name in (name for name in EXPORTED if "onnx" in backend_of(name).FORMATS):
                try:
                    if not file.exists():
                        _write(_FromPixels(embedding, preprocessing), pictures, file)
                    networks, how = _exported(name, file, len(self.views))
                    _prove(answered(networks, pictures, how), expected, how)
                except (UnusableError, UnequalError) as reason:
                    log.info("features: %s does not compute them: %s", name, reason)
                    continue
                self.networks, self.how = networks, how
                return


def _torch(model: Classifier, embedding: nn.Module, preprocessing: Preprocessing, runtime: Runtime) -> Networks:
    embedding = embedding.to(runtime.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    call: Callable[[torch.Tensor], torch.Tensor] = model.embed if embedding is model else embedding

    def forward(images: torch.Tensor) -> torch.Tensor:
        with evaluating(embedding), runtime.autocast():
            return call(images).float()

    return torch_networks([forward], preprocessing, Runtime(runtime.device, memory_format=torch.channels_last))


def _write(model: nn.Module, pictures: np.ndarray, file: Path) -> None:
    """The network as ONNX.

    Raises:
        UnusableError: the exporter does not follow it, or its package is absent.
    """
    axes = {"pictures": {0: "batch"}, "features": {0: "batch"}}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model.eval(), (torch.from_numpy(pictures),), str(file), dynamo=False, opset_version=OPSET,
                input_names=["pictures"], output_names=["features"], dynamic_axes=axes,
            )  # fmt: skip
    except Exception as error:  # the tracing exporter has no errors of its own; torch computes the features then
        raise UnusableError(
            tr("it cannot be exported: {error!r}", error=str(error).splitlines()[0] if str(error) else error)
        ) from None


def _exported(name: str, file: Path, views: int) -> tuple[Networks, str]:
    backend, layout = backend_of(name), Layout.of(views)
    return together(backend, [run(backend, [file], layout)], layout), backend.version()


def _prove(features: np.ndarray, expected: np.ndarray, how: str) -> None:
    difference = float(np.abs(features - expected).max()) if features.shape == expected.shape else np.inf
    if not difference <= TOLERANCE * float(np.abs(expected).max()):
        raise UnequalError(tr("{how} gives features that differ by {difference:.1e}.", how=how, difference=difference))
