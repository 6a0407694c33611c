"""Knowledge distillation: the loss moves from the label towards what a teacher says.

Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2.

The teacher comes as probabilities (B, K): from a network run on the same (mixed) pictures, or from an out-of-fold file,
in which no row was judged by a model that trained on it. Softening needs no logits, since softmax(log(probs) / T)
equals softmax(logits / T).
"""

from __future__ import annotations

import torch
from torch.nn import functional

from recipe.components.mixes import partner
from recipe.data.batch import Batch


def soften(probs: torch.Tensor, temperature: float) -> torch.Tensor:
    """Probabilities (B, K) at a temperature, float32. Limits: 1 gives `probs`, infinity the same for every class."""
    smallest = torch.finfo(torch.float32).tiny
    return (probs.float().clamp(min=smallest).log() / temperature).softmax(1)


def divergence(logits: torch.Tensor, teacher_probs: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 * KL(teacher || student) of both softened, (B,) in nats; T^2 keeps the gradient's size at any temperature.

    Limit: 0 where the student says what the teacher says.
    """
    student = functional.log_softmax(logits.float() / temperature, dim=1)
    teacher = soften(teacher_probs, temperature)
    return temperature**2 * functional.kl_div(student, teacher, reduction="none").sum(1)


def distilled(
    losses: torch.Tensor,
    logits: torch.Tensor,
    teacher_probs: torch.Tensor,
    *,
    temperature: float = 4.0,
    weight: float = 0.5,
) -> torch.Tensor:
    """(1 - weight) * losses + weight * divergence from the teacher, (B,); `losses`: of the labels, after mixing.

    Limit: weight 0 is the plain loss, weight 1 the teacher alone.

    Raises:
        ValueError: a weight outside 0 to 1, a temperature that is not positive, or a teacher with another number of
        classes.
    """
    if not 0 <= weight <= 1 or not temperature > 0:
        raise ValueError(
            f"distillation with weight={weight}, temperature={temperature} is refused: "
            "weight 0 to 1, temperature above 0."
        )
    if teacher_probs.shape != logits.shape:
        raise ValueError(
            f"the teacher gives {tuple(teacher_probs.shape)} probabilities "
            f"and the student {tuple(logits.shape)}; classes must agree."
        )
    return losses if weight == 0 else (1 - weight) * losses + weight * divergence(logits, teacher_probs, temperature)


def mixed_teacher(probs: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The teacher's (B, K) for a batch's own rows, mixed as its pictures; call it before the batch is split.

    A stored teacher never saw the mixed pictures, so its answers are mixed like labels. Limit: without mixing they are
    returned unchanged.
    """
    lam = batch.lam[:, None].to(probs.dtype)
    return lam * probs + (1 - lam) * partner(probs)
