"""What memory running out looks like on every device, and what is done: smaller micro-batches, then recomputing.

Each is as good as the other for the result: the gradient is that of the whole batch. The Linux kernel may instead end
the process without a word; the run then goes on with --resume.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from protocol.errors import UserError
from protocol.language import tr
from recipe.system.runtime import Runtime

WORDS = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "ALLOC_FAILED",
)  # CPU (Windows, Linux), MPS, cuDNN and cuBLAS


class OutOfMemory(UserError, RuntimeError):  # noqa: N818  (says what it is)
    """Not even one picture at a time fits; no weight has moved in this step."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out; the CPU's allocator raises a plain RuntimeError."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in WORDS)
    )


def need_less(model: nn.Module, runtime: Runtime, batch_size: int, say: Callable[[str], None]) -> None:
    """Halves the micro-batch; at one picture, switches to recomputed activations.

    Raises:
        OutOfMemory: both have been done.
    """
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if runtime.micro_batch > 1:
        runtime.micro_batch = max(1, min(runtime.micro_batch, batch_size) // 2)
        say(
            tr(
                "memory ran out: {micro_batch} pictures per forward pass from here on; the steps stay the same",
                micro_batch=runtime.micro_batch,
            )
        )
    elif not runtime.recomputes and recompute(model, runtime):
        say(
            tr(
                "memory ran out with one picture: activations are recomputed in the backward pass from "
                "here on, a quarter slower"
            )
        )
    else:
        raise OutOfMemory(
            tr(
                "memory runs out even with one picture per pass. Take a smaller --image-size or "
                "--backbone, --precision bf16, an optimizer with less state such as sgd(), or a machine "
                "with more memory; then --resume-anyway where the network stays the same."
            )
        )


def recompute(model: nn.Module, runtime: Runtime) -> bool:
    """Switches gradient checkpointing on; False where the network cannot."""
    backbone: Any = getattr(model, "backbone", None)
    with contextlib.suppress(AssertionError, NotImplementedError):
        if hasattr(backbone, "set_grad_checkpointing"):
            backbone.set_grad_checkpointing(True)
            runtime.recomputes = True
    return runtime.recomputes
