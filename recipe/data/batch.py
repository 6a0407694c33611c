"""What travels from the loader to the update: one batch of pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Batch:
    """Pictures of one step, or a slice of it. Mixing fills `labels_b` and `lam`; before, they are `labels` and 1."""

    images: torch.Tensor  # (B, 3, H, W): uint8 from the loader, float32 normalised on the device
    labels: torch.Tensor  # (B,) int64
    labels_b: torch.Tensor  # (B,) int64, the labels of the pictures mixed in
    lam: torch.Tensor  # (B,) float32 in [0, 1], the share of `labels`
    rows: torch.Tensor  # (B,) int64, row numbers of the table
    teacher_probs: torch.Tensor | None = (
        None  # (B, K) what the teacher says, mixed as the pictures are; None without one
    )

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device."""
        return replace(self, **{name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors().items()})

    def split(self, size: int) -> list[Batch]:
        """Micro-batches of at most `size` pictures; one alone where `size` >= len(self)."""
        parts = {name: tensor.split(size) for name, tensor in self.tensors().items()}
        return [Batch(**dict(zip(parts, values, strict=True))) for values in zip(*parts.values(), strict=True)]

    def tensors(self) -> dict[str, torch.Tensor]:
        """Every tensor that is there, by field."""
        return {name: value for name in self.__dataclass_fields__ if (value := getattr(self, name)) is not None}
