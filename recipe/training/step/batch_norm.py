"""BatchNorm's statistics in training: frozen, of one pass only, or put back after a pass that does not count."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from protocol.language import tr
from protocol.strict import ConfigError
from recipe.config import Config
from recipe.data.folds import Fold
from recipe.system.processes.world import World
from recipe.system.runtime import Runtime


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


def over_processes(model: nn.Module) -> nn.Module:
    """The network with batch statistics of all processes in place of those of each one's share.

    Source: Zhang et al., "Context Encoding for Semantic Segmentation", 2018, section 3.2 (synchronised over devices).
    """
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)


def check_over_processes(
    model: nn.Module, config: Config, runtime: Runtime, folds: Sequence[Fold], world: World
) -> None:
    """Refuses to train BatchNorm's statistics where several processes cannot have them in common.

    torch synchronises them on GPUs alone, and each of its sums expects every process: so every process needs as many
    pictures in every pass. Limit: alone, and with frozen statistics, everything goes.

    Raises:
        ConfigError: what to set instead.
    """
    collects = not config.freezes_batch_norm and any(isinstance(module, _BatchNorm) for module in model.modules())
    if world.alone or not collects:
        return
    if runtime.device.type != "cuda":
        raise ConfigError(
            tr(
                "batch_norm: {size} processes on a CPU would each normalise by their own share of the "
                "batch, which is another training: torch has no BatchNorm over processes there. Set "
                "--batch-norm frozen, take a backbone without BatchNorm, or leave --processes out.",
                size=world.size,
            )
        )
    least = min(len(fold.train_rows) for fold in folds)
    if config.batch_size % (2 * world.size) or config.batch_size > least:
        raise ConfigError(
            tr(
                "batch_norm: with statistics over {processes} processes every batch must be shared evenly: "
                "--batch-size a multiple of {multiple} and at most {least}, not {batch_size}; or "
                "--batch-norm frozen.",
                processes=world.size,
                multiple=2 * world.size,
                least=least,
                batch_size=config.batch_size,
            )
        )
