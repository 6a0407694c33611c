"""BatchNorm folded into the convolution before it: the same answers with fewer passes over memory, for prediction only.

    model = merge_batch_norm(model, size)

Which normalisation follows which convolution is read off one forward pass. A pair is folded where the convolution's
result goes to that normalisation and nowhere else, both are used once, and the convolution uses its weight as stored (a
standardised weight, as in BiT, undoes the scale). The outcome is compared with the original on random pictures and
thrown away where it differs.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
2018, section 3.2 (equation 14); the arithmetic is torch.nn.utils.fusion.
"""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode

from recipe.system import torchvision_guard  # noqa: F401  (before timm)
from recipe.system.runtime import evaluating

log = logging.getLogger(__name__)
TOLERANCE = 1e-4  # of the outputs' largest value, or of 1 where that is smaller
SIDE = 64  # pixels of the pictures that are passed through, at most


def merge_batch_norm(model: nn.Module, size: int, tolerance: float = TOLERANCE) -> nn.Module:
    """A copy of the model, in evaluation mode, without the BatchNorms that a convolution can take in; on the CPU.

    Args:
        model: takes pictures (B,3,size,size); it is left as it is.
        size: pixels.
        tolerance: largest difference of an output, relative to the largest output where that is above 1.

    Limit: without BatchNorm, or where the answers would differ (then with a line in the log), the model itself is
    returned.
    """
    model = model.eval()
    if not any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        return model
    images = torch.randn(2, 3, min(size, SIDE), min(size, SIDE), generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():  # not inference_mode: its tensors could not be weights of the copy
            difference, folded = _folded(model, images)
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        log.info(
            "BatchNorm stays as it is: the network could not be followed (%s)",
            str(error).splitlines()[0] if str(error) else error,
        )
        return model
    if not difference <= tolerance:
        log.warning(
            "BatchNorm stays as it is: folding it would change the outputs by %.1e, more than %.0e",
            difference,
            tolerance,
        )
        return model
    return folded


def conv_norm_pairs(model: nn.Module, size: int) -> list[tuple[nn.Conv2d, str]]:
    """Convolutions of a model with the name of the BatchNorm that alone takes their result.

    Args:
        model: takes pictures (B,3,size,size), on the CPU.
        size: pixels.

    Limit: none where the network cannot be followed.
    """
    images = torch.zeros(1, 3, min(size, SIDE), min(size, SIDE))
    try:
        with evaluating(model), _Recorder(model) as recorder:
            model(images)
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        log.info("BatchNorm stays as it is: the network could not be followed (%s)", error)
        return []
    return recorder.pairs()


def _folded(model: nn.Module, images: torch.Tensor) -> tuple[float, nn.Module]:
    """The folded copy and how far its outputs are from the model's."""
    folded = copy.deepcopy(model)
    with _Recorder(folded) as recorder:
        expected = folded(images)
    for convolution, norm in recorder.pairs():
        _take_in(folded, convolution, norm)
    scale = max(1.0, float(expected.abs().max()))
    return float((folded.eval()(images) - expected).abs().max()) / scale, folded


def _take_in(model: nn.Module, convolution: nn.Conv2d, norm_name: str) -> None:
    norm: Any = model.get_submodule(norm_name)
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    model.set_submodule(norm_name, _rest(norm))


def _rest(norm: nn.Module) -> nn.Module:
    """What a normalisation does besides: timm's BatchNormAct2d also drops and activates."""
    if type(norm) is nn.BatchNorm2d:
        return nn.Identity()
    return nn.Sequential(norm.drop, norm.act)  # type: ignore[arg-type]


def _foldable(module: nn.Module) -> bool:
    from timm.layers import BatchNormAct2d

    return type(module) in (nn.BatchNorm2d, BatchNormAct2d) and module.running_mean is not None


@dataclass
class _Pass:
    """What one forward pass did: results are kept alive, so that a result's id stays its own."""

    made_by: dict[int, nn.Conv2d] = field(default_factory=dict)  # convolution by the id of its result
    taken_by: dict[int, str] = field(default_factory=dict)  # name of the normalisation by the id of its input
    uses: Counter[int] = field(default_factory=Counter)  # of a result, as an argument
    calls: Counter[int] = field(default_factory=Counter)  # of a convolution or a normalisation
    alive: list[Any] = field(default_factory=list)


class _Recorder(TorchFunctionMode):
    """Follows convolutions and normalisations through the torch functions that a model calls.

    A module is known by the tensor it hands over: a convolution by its weight, a normalisation by its running mean.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.convolutions = {id(module.weight): module for module in model.modules() if isinstance(module, nn.Conv2d)}
        self.norms = {id(module.running_mean): name for name, module in model.named_modules() if _foldable(module)}
        self.seen = _Pass()

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, (torch.Tensor, tuple, list)):
            self._note(function, [*args, *(kwargs or {}).values()], result)
        return result

    def _note(self, function: Callable[..., Any], given: list[Any], result: Any) -> None:
        self.seen.alive += [given, result]
        flat = [item for value in given for item in (value if isinstance(value, (tuple, list)) else [value])]
        self.seen.uses.update({id(item) for item in flat if isinstance(item, torch.Tensor)})
        if function is F.conv2d and id(given[1]) in self.convolutions:
            self.seen.made_by[id(result)] = self.convolutions[id(given[1])]
            self.seen.calls[id(given[1])] += 1
        if function is F.batch_norm and id(given[1]) in self.norms:
            self.seen.taken_by[id(given[0])] = self.norms[id(given[1])]
            self.seen.calls[id(given[1])] += 1

    def pairs(self) -> list[tuple[nn.Conv2d, str]]:
        """Convolutions with the name of the normalisation that alone takes their result."""
        norms = {name: running_mean for running_mean, name in self.norms.items()}
        return [
            (convolution, norm)
            for result, convolution in self.seen.made_by.items()
            if (norm := self.seen.taken_by.get(result, ""))
            and self.seen.uses[result] == self.seen.calls[id(convolution.weight)] == self.seen.calls[norms[norm]] == 1
        ]
