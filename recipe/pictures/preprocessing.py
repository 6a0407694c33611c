"""What turns a picture into a network's input: size, crop, the weights' statistics. No torch is imported here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recipe.pictures.decode import evaluation_side

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Preprocessing:
    """It belongs to the weights and travels with them."""

    size: int  # side of the crop, pixels
    crop_pct: float  # crop side over short side, (0, 1]
    mean: tuple[float, float, float]  # of RGB in [0, 1]
    std: tuple[float, float, float]

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """(B,3,H,W) uint8 to float32 with zero mean and unit deviation, in one multiply-add; the memory layout is kept.

        In channels_last a row of W pixels is taken as 3 * W numbers: an innermost dimension of 3 would keep the
        arithmetic from the processor's wide registers, and cost three times as much.
        """
        import torch

        scale = images.new_tensor([1 / (255 * s) for s in self.std], dtype=torch.float32)
        shift = images.new_tensor([-m / s for m, s in zip(self.mean, self.std, strict=True)], dtype=torch.float32)
        rows = images.permute(0, 2, 3, 1)
        if not rows.is_contiguous():
            return torch.addcmul(shift.view(1, 3, 1, 1), images.float(), scale.view(1, 3, 1, 1))
        count, height, width, _ = rows.shape
        flat = rows.reshape(count * height, width * 3).float()
        return (
            torch.addcmul(shift.repeat(width), flat, scale.repeat(width))
            .view(count, height, width, 3)
            .permute(0, 3, 1, 2)
        )


def short_side(preprocessing: Preprocessing) -> int:
    """Pixels of a decoded picture's short side before the crop."""
    return evaluation_side(preprocessing.size, preprocessing.crop_pct)


def at_size(preprocessing: Preprocessing, test_size: int) -> Preprocessing:
    """The same preparation for another input size; 0 changes nothing.

    Source: Touvron, Vedaldi, Douze, Jegou, "Fixing the train-test resolution discrepancy", 2019, section 3.
    """
    return dataclasses.replace(preprocessing, size=test_size) if test_size else preprocessing
