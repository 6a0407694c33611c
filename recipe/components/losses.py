"""Losses: what one picture costs. A loss gives (B,) values, a reduction makes them one number.

A component takes the context (counts,), the training pictures per class, (K,), and returns `loss(logits (B, K) float32,
labels (B,) int64) -> (B,)`. Per-picture losses compose: with mixing the update takes lam * loss(labels) + (1 - lam) *
loss(labels_b), for cross-entropy and BCE the same as the loss of the mixed target, since both are linear in it;
distillation adds a term; the reduction comes last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from protocol.language import tr
from recipe.registry import Fraction, NotNegative, Positive, Probability, Registry, Spec, SpecError, parse

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Reduction = Callable[[torch.Tensor], torch.Tensor]

LOSSES = Registry("loss", accepts="logits (B, K), labels (B,); gives (B,) losses")
REDUCTIONS = Registry("reduction", accepts="(B,) losses; gives one number")


@LOSSES.register
def ce(counts: torch.Tensor, /) -> Loss:
    """Cross-entropy of the softmax, in nats.

    Source: Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs", 1990, section 4.
    """
    return lambda logits, labels: functional.cross_entropy(logits, labels, reduction="none")


@LOSSES.register
def smoothing(counts: torch.Tensor, /, epsilon: Fraction = 0.1) -> Loss:
    """Label smoothing: cross-entropy with `epsilon` of the target spread evenly over all K classes, the true one too.

    The true class keeps 1 - epsilon + epsilon / K. Where a source spreads over the K - 1 others, its epsilon times K /
    (K - 1) is the one to write.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016, section 7.
    Limit: epsilon=0 is cross-entropy.
    """
    return lambda logits, labels: functional.cross_entropy(logits, labels, reduction="none", label_smoothing=epsilon)


@LOSSES.register
def focal(counts: torch.Tensor, /, gamma: NotNegative = 2.0) -> Loss:
    """Focal loss: cross-entropy times (1 - p)^gamma, p of the true class (softmax form; weights: class_balanced).

    Source: Lin, Goyal, Girshick, He, Dollar, "Focal Loss for Dense Object Detection", 2017, section 3.2.
    Limit: gamma=0 is cross-entropy.
    """

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        losses = functional.cross_entropy(logits, labels, reduction="none")
        # -expm1(-loss) is 1 - p without cancellation; the floor keeps the power's slope finite where p rounds to 1.
        missing = -torch.expm1(-losses)
        return missing.clamp(min=torch.finfo(losses.dtype).tiny).pow(gamma) * losses

    return loss


@LOSSES.register
def bce(counts: torch.Tensor, /, epsilon: Fraction = 0.0, sum_classes: bool = False) -> Loss:
    """Binary cross-entropy: K independent sigmoids, 1 for the true class, else 0; mean or sum over classes.

    `epsilon` smooths the targets over all K classes. With mixing, the weighted sum over both labels equals the loss of
    the soft target. Probabilities at prediction still come from the softmax, which keeps the order of classes.

    Source: Wightman, Touvron, Jegou, "ResNet strikes back: An improved training procedure in timm", 2021, section 3.1.
    Limit: with one class per sigmoid and epsilon=0 it is the logistic loss.
    """

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        targets = torch.full_like(logits, epsilon / logits.shape[1])
        targets.scatter_(1, labels[:, None], 1 - epsilon + epsilon / logits.shape[1])
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return losses.sum(1) if sum_classes else losses.mean(1)

    return loss


@dataclass(frozen=True)
class Weighted:
    """A loss times the weight of the true class; weights (K,) have a mean of 1 over classes."""

    base: Loss
    weights: torch.Tensor

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.base(logits, labels) * self.weights.to(logits.device)[labels]


def _weighted(base: Loss, weights: torch.Tensor) -> Weighted:
    if isinstance(base, Deferred):
        raise SpecError(
            tr(
                "loss 'deferred' cannot be weighted as a whole; put the weighted loss inside it: "
                "deferred(ce(), class_balanced())."
            )
        )
    return Weighted(base, (weights / weights.mean()).float())


@LOSSES.register
def weighted_ce(counts: torch.Tensor, /, power: Probability = 1.0) -> Loss:
    """Weighted cross-entropy: each picture weighs 1 / counts^power of its class, scaled to a mean of 1 over classes. An
    empty class counts as one picture.

    Source: Huang, Li, Loy, Tang, "Learning Deep Representation for Imbalanced Classification", 2016, section 2 (inverse
    class frequency).
    Limit: power=0, or equal counts, is cross-entropy.
    """
    return _weighted(ce(counts), counts.cpu().double().clamp(min=1) ** -power)


@LOSSES.register
def class_balanced(counts: torch.Tensor, /, base: Spec = parse("ce()"), beta: Fraction = 0.999) -> Loss:
    """Class-balanced loss: any loss with weights (1 - beta) / (1 - beta^counts), scaled to a mean of 1 over classes.

    Source: Cui, Jia, Lin, Song, Belongie, "Class-Balanced Loss Based on Effective Number of Samples", 2019, sections 3
    and 4.
    Limit: beta=0, or equal counts, is the base loss; beta to 1 is inverse frequency.
    """
    return _weighted(LOSSES.build(base, counts), (1 - beta) / (1 - beta ** counts.cpu().double().clamp(min=1)))


class Margin:
    """Cross-entropy on cosines whose true class pays a margin, for logits of the cosine head with the same scale."""

    def __init__(self, scale: float, penalise: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.scale, self._penalise = scale, penalise

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        target = labels[:, None]
        cosine = (logits.gather(1, target) / self.scale).clamp(-1, 1)
        return functional.cross_entropy(
            logits.scatter(1, target, self.scale * self._penalise(cosine)), labels, reduction="none"
        )


@LOSSES.register
def arcface(counts: torch.Tensor, /, margin: NotNegative = 0.5, scale: Positive = 30.0) -> Margin:
    """ArcFace: adds `margin` radians to the angle of the true class. Needs head cosine with the same scale.

    Where the angle would pass 180 degrees the cosine goes on falling in a straight line, so that the loss stays
    monotone.

    Source: Deng, Guo, Xue, Zafeiriou, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", 2019, section
    2.1.
    Limit: margin=0 is cross-entropy of the scaled cosines.
    Raises:
        SpecError: a margin of more than pi / 2.
    """
    if margin > math.pi / 2:
        raise SpecError(
            tr(
                "loss 'arcface': margin={margin} is refused: an angle in radians of at most 1.57; the paper takes 0.5.",
                margin=margin,
            )
        )

    def penalise(cosine: torch.Tensor) -> torch.Tensor:
        sine = (1 - cosine * cosine).clamp(min=1e-7).sqrt() if margin else torch.zeros_like(cosine)
        beyond = cosine < -math.cos(margin)
        return torch.where(
            beyond, cosine - margin * math.sin(margin), cosine * math.cos(margin) - sine * math.sin(margin)
        )

    return Margin(scale, penalise)


@LOSSES.register
def cosface(counts: torch.Tensor, /, margin: NotNegative = 0.35, scale: Positive = 30.0) -> Margin:
    """CosFace: subtracts `margin` from the cosine of the true class. Needs head cosine with the same scale.

    Source: Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", 2018, section 3.1.
    Limit: margin=0 is cross-entropy of the scaled cosines.
    """
    return Margin(scale, lambda cosine: cosine - margin)


@dataclass(frozen=True)
class Deferred:
    """Two losses in turn; `at(progress)` gives the one that holds. Called directly, it is the one at the start."""

    before: Loss
    after: Loss
    start: float

    def at(self, progress: float) -> Loss:
        """The loss at a progress in [0, 1]."""
        return at(self.before if progress < self.start else self.after, progress)

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.at(0.0)(logits, labels)


@LOSSES.register
def deferred(
    counts: torch.Tensor,
    /,
    before: Spec = parse("ce()"),
    after: Spec = parse("class_balanced(beta=0.9999)"),
    start: Probability = 0.8,
) -> Deferred:
    """Deferred re-weighting: one loss until `start` of the run, then another, usually a weighted one.

    Source: Cao, Wei, Gaidon, Arechiga, Ma, "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
    2019, section 3.3.
    Limit: start=1 is the first loss throughout (the last step included only at progress 1), start=0 the second.
    """
    return Deferred(LOSSES.build(before, counts), LOSSES.build(after, counts), start)


def at(loss: Loss, progress: float) -> Loss:
    """The loss that holds at a progress in [0, 1]; the loss itself where it does not depend on it."""
    return loss.at(progress) if isinstance(loss, Deferred) else loss


def margins(loss: Loss) -> list[Margin]:
    """The margin losses in a loss, itself included."""
    if isinstance(loss, Weighted):
        return margins(loss.base)
    if isinstance(loss, Deferred):
        return margins(loss.before) + margins(loss.after)
    return [loss] if isinstance(loss, Margin) else []


def check_head(loss: Loss, scale: float | None) -> None:
    """Refuses a margin loss on any head but a cosine head of its own scale (`scale`; None for other heads).

    Raises:
        SpecError: says which head to write.
    """
    for margin in margins(loss):
        if scale != margin.scale:
            found = tr("another head") if scale is None else tr("a cosine head with scale={scale:g}", scale=scale)
            raise SpecError(
                tr(
                    "arcface and cosface need head 'cosine(scale={scale:g})', and the settings have {found}.",
                    scale=margin.scale,
                    found=found,
                )
            )


@REDUCTIONS.register
def mean() -> Reduction:
    """The mean over pictures.

    Source: Vapnik, "Principles of Risk Minimization for Learning Theory", 1991, section 2 (empirical risk).
    """
    return lambda losses: losses.mean()


@REDUCTIONS.register
def ohem(keep: Positive = 0.7) -> Reduction:
    """Online hard example mining: the mean over the `keep` share of pictures (rounded up) with the highest loss.

    The share is taken of what is reduced at once, which is the micro-batch where a batch is split.

    Source: Shrivastava, Gupta, Girshick, "Training Region-based Object Detectors with Online Hard Example Mining",
    2016, section 4.
    Limit: keep=1 is the mean.
    Raises:
        SpecError: keep above 1.
    """
    if keep > 1:
        raise SpecError(tr("reduction 'ohem': keep={keep} is refused: a share above 0 and at most 1.", keep=keep))
    return lambda losses: losses.topk(max(1, math.ceil(keep * len(losses) - 1e-9))).values.mean()
