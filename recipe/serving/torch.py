"""Networks that torch answers for: what training validates with, and what predicts where no exported runtime can.

On a CPU each BatchNorm is folded into its convolution and pictures lie channels_last. On CUDA the folded network runs
in half precision where a probe says that it answers alike. Limit: without a GPU here, the CUDA path was never run on
one.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from protocol.language import tr
from recipe.components.views import View
from recipe.models.merged_batch_norm import merge_batch_norm
from recipe.pictures.preprocessing import Preprocessing
from recipe.runs.checkpoint import load_checkpoint
from recipe.serving.averaging import CROPS_PER_PASS, Networks, average_probs, pass_views
from recipe.serving.equality import PICTURES, UnequalError, prove, reference_pictures
from recipe.system.runtime import Runtime, choose_device, evaluating

log = logging.getLogger(__name__)
Forward = Callable[[torch.Tensor], torch.Tensor]  # normalised pictures (B,3,S,S) to (B,D)
ON_GPU = {"cuda": 256, "mps": 64}  # crops per pass
HALF_TOLERANCE = 0.01  # of a probability: half precision rounds to three digits


def crops_per_pass(device: torch.device) -> int:
    """Crops that go through a network at once."""
    return ON_GPU.get(device.type, CROPS_PER_PASS)


def torch_networks(forwards: Sequence[Forward], preprocessing: Preprocessing, runtime: Runtime) -> Networks:
    """Forward functions as networks that take crops; the pictures reach the device and are normalised once for all."""

    def networks(crops: np.ndarray) -> np.ndarray:
        images = (
            torch.from_numpy(crops)
            .to(runtime.device)
            .permute(0, 3, 1, 2)
            .contiguous(memory_format=runtime.memory_format)
        )
        normalised = preprocessing.normalise(images)
        return torch.stack([forward(normalised) for forward in forwards]).cpu().numpy()

    return networks


def run_views(
    forwards: Sequence[Forward],
    pictures: Iterable[np.ndarray],
    views: Sequence[View],
    preprocessing: Preprocessing,
    runtime: Runtime,
) -> Iterator[np.ndarray]:
    """What each of F forward functions says of each of V views, (F,V,D) float32 per picture, in order."""
    return pass_views(torch_networks(forwards, preprocessing, runtime), pictures, views, crops_per_pass(runtime.device))


def average_views(
    models: Sequence[nn.Module],
    pictures: Iterable[np.ndarray],
    views: Sequence[View],
    preprocessing: Preprocessing,
    runtime: Runtime,
) -> Iterator[np.ndarray]:
    """Class probabilities (K,) float32 of each picture: softmax, then mean over views, then over models."""
    return average_probs(
        model_networks(models, preprocessing, runtime), pictures, views, crops_per_pass(runtime.device)
    )


def model_networks(models: Sequence[nn.Module], preprocessing: Preprocessing, runtime: Runtime) -> Networks:
    """Models as networks that give probabilities."""
    return torch_networks([_softmax(model, runtime) for model in models], preprocessing, runtime)


def _softmax(model: nn.Module, runtime: Runtime) -> Forward:
    dtype = next((parameter.dtype for parameter in model.parameters()), torch.float32)

    def forward(images: torch.Tensor) -> torch.Tensor:
        with evaluating(model), runtime.autocast():
            return model(images.to(dtype)).float().softmax(dim=1)

    return forward


def for_prediction(model: nn.Module, size: int, device: torch.device) -> nn.Module:
    """A network on `device` in the form that answers fastest; folded on the CPU, where the comparison is exact."""
    return merge_batch_norm(model, size).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_networks(
    folders: Sequence[Path], weights: str, preprocessing: Preprocessing, device: str
) -> tuple[Networks, str, int]:
    """The folds of a run as networks, how they answer in words, and the crops they take at once.

    Raises:
        CheckpointError: weights are absent or broken.
        ConfigError: no such device here.
    """
    runtime = Runtime(choose_device(device), memory_format=torch.channels_last)
    loaded = (load_checkpoint(folder, weights=weights)[0] for folder in folders)
    models = [for_prediction(model, preprocessing.size, runtime.device) for model in loaded]
    how = f"torch, {runtime}"
    if runtime.device.type == "cuda":
        models = [in_half(model, preprocessing, runtime) for model in models]
        halves = sum(next(model.parameters()).dtype is torch.float16 for model in models)
        how += f", {halves} of {len(models)} folds in half precision"
    return model_networks(models, preprocessing, runtime), how, crops_per_pass(runtime.device)


def in_half(model: nn.Module, preprocessing: Preprocessing, runtime: Runtime) -> nn.Module:
    """The model in float16 where it answers the reference pictures alike, else itself, with a line in the log.

    Limit: under float16 a network whose activations pass 65,504 gives NaN, which the comparison refuses.
    """
    pictures = reference_pictures(preprocessing.size, PICTURES)
    (expected,) = model_networks([model], preprocessing, runtime)(pictures)
    half = copy.deepcopy(model).half()
    (probs,) = model_networks([half], preprocessing, runtime)(pictures)
    try:
        prove(probs, expected, HALF_TOLERANCE)
    except UnequalError as difference:
        log.warning("%s", tr("half precision is refused, float32 answers: {difference}", difference=difference))
        return model
    return half
