"""The formats that a network is written in: ONNX, OpenVINO's and TorchScript, normalisation and softmax inside.

ONNX is written by torch's tracing exporter, which needs the package onnx; it is deprecated in favour of one that takes
five times as long and needs onnxscript too. requirements.txt pins the torch that has it, and the proof of export.py
judges what it writes.
"""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from protocol.language import tr
from recipe.pictures.preprocessing import Preprocessing
from recipe.serving.exported import FILES, UnusableError
from recipe.system.atomic import atomic

OPSET = 17  # of ONNX: the first with LayerNorm, read by every runtime since 2022


class Exportable(nn.Module):
    """A classifier that takes pictures (B,S,S,3) uint8 and gives probabilities (B,K)."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, model: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("scale", torch.tensor([1 / (255 * s) for s in preprocessing.std]).view(1, 3, 1, 1))
        shift = [-m / s for m, s in zip(preprocessing.mean, preprocessing.std, strict=True)]
        self.register_buffer("shift", torch.tensor(shift).view(1, 3, 1, 1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        images = pictures.permute(0, 3, 1, 2).to(torch.float32)
        return self.model(torch.addcmul(self.shift, images, self.scale)).softmax(dim=1)


def write(model: Exportable, pictures: np.ndarray, folder: Path, fmt: str) -> None:
    """The files of a format.

    Raises:
        UnusableError: the exporter does not follow the network, or the format needs a package that is absent.
    """
    try:
        with _quiet(), torch.no_grad():
            WRITERS[fmt](model, torch.from_numpy(pictures), folder)
    except (ImportError, RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        remove(folder, fmt)
        raise UnusableError(
            tr(
                "{folder} cannot be exported to {fmt}: {error!r}",
                folder=folder,
                fmt=fmt,
                error=str(error).strip().splitlines()[0] if str(error) else error,
            )
        ) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Deprecations of the tracing exporters, and warnings about shapes that a proof over other batches answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _write_onnx(model: nn.Module, pictures: torch.Tensor, folder: Path) -> None:
    axes = {"pictures": {0: "batch"}, "probs": {0: "batch"}}
    with atomic(folder / "model.onnx") as temporary:
        torch.onnx.export(
            model, (pictures,), str(temporary), dynamo=False, opset_version=OPSET,
            input_names=["pictures"], output_names=["probs"], dynamic_axes=axes,
        )  # fmt: skip


def _write_openvino(model: nn.Module, pictures: torch.Tensor, folder: Path) -> None:
    """Through ONNX; in float32, which OpenVINO would halve by default."""
    try:
        import openvino

        from recipe.serving.backends.openvino import one_core
    except ImportError:
        raise ImportError(tr("the package openvino is not installed; pip install .[fast]")) from None

    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        _write_onnx(model, pictures, Path(temporary))
        openvino.save_model(
            one_core().read_model(Path(temporary) / "model.onnx"), Path(temporary) / "model.xml", compress_to_fp16=False
        )
        for name in FILES["openvino"]:
            (Path(temporary) / name).replace(folder / name)


def _write_torchscript(model: nn.Module, pictures: torch.Tensor, folder: Path) -> None:
    traced = torch.jit.freeze(torch.jit.trace(model, pictures, check_trace=False))
    with atomic(folder / "model.pt") as temporary:
        traced.save(str(temporary))


WRITERS: dict[str, Callable[[Exportable, torch.Tensor, Path], None]] = {
    "onnx": _write_onnx, "openvino": _write_openvino, "torchscript": _write_torchscript,
}  # fmt: skip


def remove(folder: Path, fmt: str) -> None:
    """Nothing of a format is left in a fold's folder."""
    for name in FILES[fmt]:
        (folder / name).unlink(missing_ok=True)
