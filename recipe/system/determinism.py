"""--deterministic: the same bits from the same command on a GPU as well.

On a CPU a run repeats itself anyway, under the same number of threads. On CUDA several kernels add in an order that
changes from call to call; torch then takes slower ones, and refuses operations that have no other.

cuBLAS and torch read `CUBLAS_WORKSPACE_CONFIG` once, at the first matrix product: it is set as soon as the settings are
known, long before.

Source: PyTorch documentation, "Reproducibility"; NVIDIA, "cuBLAS: Results reproducibility".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from protocol.language import tr

if TYPE_CHECKING:
    import torch

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def before_cuda(deterministic: bool) -> None:
    """Sets what must be set before CUDA is at work; a value that the user has set stays."""
    if deterministic:
        os.environ.setdefault(
            WORKSPACE, ":4096:8"
        )  # eight buffers of 4096 KiB, one of the two values that cuBLAS repeats itself under


def make_deterministic(device: torch.device) -> str:
    """Sets torch's switches where they do something; returns what to say."""
    if device.type != "cuda":
        return tr(
            "deterministic: on {type} nothing is to be switched; runs repeat themselves under the "
            "same number of threads",
            type=device.type,
        )
    import torch

    before_cuda(deterministic=True)  # for a caller that came another way than by the command line
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return tr("deterministic: kernels that repeat themselves, which are slower")
