"""Training under frozen BatchNorm statistics in fewer passes over memory: the normalisation is done on the weights.

    fold_batch_norm(model, size)

A BatchNorm whose statistics stand scales and shifts each channel; so does the convolution before it, once its few
weights are scaled instead of its many results. Parameters keep their names, values and gradients, in another order of
rounding; a normalisation that takes statistics of the batch does so as before. On a CPU a step of EfficientNet-Lite0
takes four fifths of the time (docs/measured.md). For prediction only, `merged_batch_norm` goes further.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from recipe.models.merged_batch_norm import conv_norm_pairs
from recipe.system import torchvision_guard  # noqa: F401  (before timm)


def fold_batch_norm(model: nn.Module, size: int) -> int:
    """Lets convolutions do the work of the BatchNorms after them while those are in evaluation mode; the number of
    pairs.

    Args:
        model: takes pictures (B,3,size,size); it is changed in place, its state and its parameters are not.
        size: pixels.

    Limit: a network that cannot be followed, or without BatchNorm, stays as it is.
    """
    norms = dict(model.named_modules())
    followed = [(convolution, norms[name]) for convolution, name in conv_norm_pairs(model, size)]
    pairs = [(convolution, norm) for convolution, norm in followed if _known(convolution) and norm.affine]
    for convolution, norm in pairs:
        convolution.taken_in = (norm,)  # type: ignore[assignment]  # in a tuple: not a part of the convolution
        convolution.__class__ = _also(Scaling, type(convolution))
        norm.__class__ = _also(TakenIn, type(norm))
    return len(pairs)


def _known(convolution: nn.Conv2d) -> bool:
    from timm.layers import Conv2dSame

    return type(convolution) in (nn.Conv2d, Conv2dSame) and convolution.padding_mode == "zeros"


_CLASSES: dict[tuple[type, type], type] = {}


def _also(mixin: type, base: type) -> type:
    """The class that is both, named like the base: whoever reads a kind off a name finds it."""
    return _CLASSES.setdefault((mixin, base), type(base.__name__, (mixin, base), {}))


class Scaling(nn.Module):
    """A convolution that does the work of the normalisation after it, unless that needs statistics of the batch."""

    def forward(self: Any, images: torch.Tensor) -> torch.Tensor:
        norm = self.taken_in[0]
        if norm.training:
            return super().forward(images)  # type: ignore[no-any-return]
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        bias = norm.bias - norm.running_mean * scale
        if self.bias is not None:
            bias = bias + scale * self.bias
        return self._convolved(images, self.weight * scale[:, None, None, None], bias)  # type: ignore[no-any-return]

    def _convolved(self: Any, images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        from timm.layers import Conv2dSame
        from timm.layers.padding import pad_same

        padding = self.padding
        if isinstance(self, Conv2dSame):
            images, padding = pad_same(images, list(self.kernel_size), list(self.stride), list(self.dilation)), 0
        return F.conv2d(images, weight, bias, self.stride, padding, self.dilation, self.groups)


class TakenIn(nn.Module):
    """A normalisation whose work is done; timm's BatchNormAct2d also drops and activates."""

    def forward(self: Any, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            return super().forward(images)  # type: ignore[no-any-return]
        if not hasattr(self, "act"):
            return images
        images = self.drop(images)
        clips = type(self.act) is nn.ReLU6 and images.requires_grad
        return Clipped.apply(images) if clips else self.act(images)  # type: ignore[no-any-return]


class Clipped(torch.autograd.Function):
    """ReLU6 in place, its gradient by its result: torch's own keeps a copy of what it overwrites."""

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor) -> torch.Tensor:
        """min(max(images, 0), 6)."""
        ctx.mark_dirty(images.clamp_(0, 6))
        ctx.save_for_backward(images)
        return images

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        """Where neither end was reached."""
        (result,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradients[0], result, 0.0, 6.0)  # type: ignore[no-any-return]
