"""--deterministic: the same bits from the same command on a GPU as well.

On a CPU a run repeats itself anyway, under the same number of threads. On CUDA several kernels add in an order that changes from call to call;
torch then takes slower ones, and refuses operations that have no other.

Source: PyTorch documentation, "Reproducibility"; NVIDIA, "cuBLAS: Results reproducibility".
"""

from __future__ import annotations

import os

import torch


def make_deterministic(device: torch.device) -> str:
    """Sets torch's switches where they do something; returns what to say."""
    if device.type != "cuda":
        return f"deterministic: on {device.type} nothing is to be switched; runs repeat themselves under the same number of threads"
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before the first matrix product
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return "deterministic: kernels that repeat themselves, which are slower"
