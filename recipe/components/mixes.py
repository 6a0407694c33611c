"""Mixing of pictures within a batch: mixup, CutMix, one or the other.

A component returns `mix(batch, generator) -> Batch`. The partner of picture i is picture B-1-i of the same batch:
batches are shuffled already, so this is as random as a permutation and costs no gather. The mixed pictures are written
over `batch.images` (float, normalised): a fresh copy would triple the cost. Mixing comes before the closure, so both
passes of SAM see the same pictures, and before the split into micro-batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from recipe.data.batch import Batch
from recipe.registry import NotNegative, Probability, Registry, Spec, parse

Mix = Callable[[Batch, torch.Generator], Batch]

MIXES = Registry("mix", accepts="a batch of float pictures and a CPU generator; gives the mixed batch")


def partner(values: torch.Tensor) -> torch.Tensor:
    """What belongs to the picture mixed into each one, for any (B, ...) tensor in batch order."""
    return values.flip(0)


def blend(batch: Batch, lam: float) -> Batch:
    """Pictures lam * own + (1 - lam) * partner's. Limit: lam=1 is the identity."""
    if lam == 1:
        return batch
    return _labelled(replace(batch, images=batch.images.lerp_(partner(batch.images), 1 - lam)), lam)


def paste(batch: Batch, box: tuple[int, int, int, int]) -> Batch:
    """Pictures with the box (top, bottom, left, right) of the partner; lam: area left. Limit: an empty box is none."""
    top, bottom, left, right = box
    height, width = batch.images.shape[-2:]
    if top == bottom or left == right:
        return batch
    batch.images[..., top:bottom, left:right] = partner(batch.images[..., top:bottom, left:right])
    return _labelled(batch, 1 - (bottom - top) * (right - left) / (height * width))


def _labelled(batch: Batch, lam: float) -> Batch:
    return replace(batch, labels_b=partner(batch.labels), lam=torch.full_like(batch.lam, lam))


def _numpy(generator: torch.Generator) -> np.random.Generator:
    """A numpy generator that continues the torch one: torch's Beta distribution takes no generator."""
    return np.random.default_rng(int(torch.randint(1 << 62, (1,), generator=generator)))


def _share(alpha: float, rng: np.random.Generator) -> float:
    """lam ~ Beta(alpha, alpha); 1 for alpha=0, the distribution's limit that leaves every picture its own."""
    return float(rng.beta(alpha, alpha)) if alpha > 0 else 1.0


@MIXES.register
def none() -> Mix:
    """No mixing: every picture stays itself.

    Source: Vapnik, "Principles of Risk Minimization for Learning Theory", 1991, section 2 (empirical risk, which mixup
    replaces).
    """
    return lambda batch, generator: batch


@MIXES.register
def mixup(alpha: NotNegative = 0.2, p: Probability = 1.0) -> Mix:
    """Mixup: blends each picture with its partner, one lam ~ Beta(alpha, alpha) for a batch, with probability p.

    Source: Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", 2018, section 2.
    Limit: lam=1 (always so for alpha=0 or p=0) is the identity.
    """

    def mix(batch: Batch, generator: torch.Generator) -> Batch:
        rng = _numpy(generator)
        return blend(batch, _share(alpha, rng)) if rng.random() < p else batch

    return mix


@MIXES.register
def cutmix(alpha: NotNegative = 1.0, p: Probability = 1.0) -> Mix:
    """CutMix: a box of the share 1 - lam comes from the partner, lam ~ Beta(alpha, alpha); with probability p a batch.

    The box may be cut by the border; lam is then the share of area that is really left.

    Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019,
    section 3.1.
    Limit: lam=1 (always so for alpha=0 or p=0) is the identity.
    """

    def mix(batch: Batch, generator: torch.Generator) -> Batch:
        rng = _numpy(generator)
        if rng.random() >= p:
            return batch
        return paste(batch, random_box(batch.images.shape[-2], batch.images.shape[-1], _share(alpha, rng), rng))

    return mix


def random_box(height: int, width: int, lam: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of a box of sides sqrt(1 - lam) with its centre anywhere, clipped to the picture."""
    share = math.sqrt(1 - lam)
    rows, columns = int(height * share), int(width * share)
    top, left = int(rng.integers(height)) - rows // 2, int(rng.integers(width)) - columns // 2
    return max(top, 0), min(top + rows, height), max(left, 0), min(left + columns, width)


@MIXES.register
def either(first: Spec = parse("mixup()"), second: Spec = parse("cutmix()"), p: Probability = 0.5) -> Mix:
    """One of two mixes, drawn per batch: the first with probability p, else the second.

    Source: Wightman, Touvron, Jegou, "ResNet strikes back: An improved training procedure in timm", 2021, section 4.1.
    Limit: p=1 is the first alone, p=0 the second alone.
    """
    mixes = MIXES.build(first), MIXES.build(second)

    def mix(batch: Batch, generator: torch.Generator) -> Batch:
        chosen = mixes[0] if float(torch.rand((), generator=generator)) < p else mixes[1]
        return chosen(batch, generator)

    return mix
