"""BatchNorm's statistics in training: frozen, of one pass only, or put back after a pass that does not count."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class KeptStatistics:
    """The running statistics of the layers that collect them, as they were when last kept.

    A few small copies per step, and none where BatchNorm is frozen.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._live: list[torch.Tensor] = []
        self._kept: list[torch.Tensor] = []

    @torch.no_grad()
    def keep(self) -> None:
        """Copies what the next forward pass may change."""
        layers = [module for module in self.model.modules() if isinstance(module, _BatchNorm) and module.training]
        self._live = [buffer for layer in layers for buffer in layer.buffers()]
        if len(self._kept) != len(self._live):
            self._kept = [buffer.clone() for buffer in self._live]
        elif self._live:
            torch._foreach_copy_(self._kept, self._live)

    @torch.no_grad()
    def restore(self) -> None:
        """Undoes every forward pass since `keep`."""
        if self._live:
            torch._foreach_copy_(self._live, self._kept)


@contextlib.contextmanager
def batch_norm_statistics(model: nn.Module, update: bool) -> Iterator[None]:
    """With `update` False, running statistics stay as they are although the modules normalise by the batch."""
    frozen = (
        [] if update else [module for module in model.modules() if isinstance(module, _BatchNorm) and module.training]
    )
    momenta = [module.momentum for module in frozen]
    for module in frozen:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum in zip(frozen, momenta, strict=True):
            module.momentum = momentum


def training_mode(model: nn.Module, freeze_batch_norm: bool) -> None:
    """Training mode, with BatchNorm under its stored statistics where asked.

    A short run from pretrained weights never recovers from batch statistics that differ from the stored ones.
    """
    model.train()
    for module in model.modules():
        if freeze_batch_norm and isinstance(module, _BatchNorm):
            module.eval()
