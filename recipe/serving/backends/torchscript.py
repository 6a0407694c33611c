"""TorchScript: torch alone, without the packages that build a network; the start takes half the time."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recipe.serving.parallel import Layout, Network

RANK = 30
FORMATS = ("torchscript",)
SPREADS_ITSELF = True


def load(files: Sequence[Path], layout: Layout) -> Network:
    """One fold's network, on the CPU. torch spreads a pass over the cores by itself, so the layout is not looked at.

    Raises:
        ImportError: the package is absent.
        RuntimeError: the file cannot be read.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # torch.jit goes on in this version, which requirements.txt pins
        model = torch.jit.load(str(files[0]), map_location="cpu").eval()

    def network(crops: np.ndarray) -> np.ndarray:
        with (
            torch.inference_mode(),
            torch.jit.optimized_execution(False),
        ):  # optimising takes seconds at every new batch size
            return model(torch.from_numpy(np.ascontiguousarray(crops))).numpy()

    return network


def version() -> str:
    """Of the package."""
    import torch

    return f"torch {torch.__version__}"
