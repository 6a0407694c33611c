"""AugMix's consistency term: three views of a picture should get the same answer.

Source: Hendrycks et al., "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty", 2020, section 3.

With `augment_views.AugmentViews` as the loader's transform a batch holds (B, 3, V*S, S) pictures, V = 3. The update is then

    logits = model(unstack(images)).unflatten(0, (-1, B))           (V, B, K)
    loss = reduction(losses(logits[0], labels)) + 12 * js_consistency(logits).mean()
"""

from __future__ import annotations

import math

import torch


def unstack(images: torch.Tensor) -> torch.Tensor:
    """(V*B, 3, S, S) pictures from (B, 3, V*S, S) with V views one below the other: all first views, then all second.

    The result is channels_last where the stack is. Limit: square pictures (V = 1) are returned as they are.

    Raises:
        ValueError: a height that is no multiple of the width.
    """
    height, width = images.shape[-2:]
    if height % width:
        raise ValueError(f"pictures of {height} x {width} pixels are no stack of square views.")
    return images if height == width else torch.cat(images.split(width, dim=-2))


def js_consistency(logits: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence of the answers to the views, (B,) in nats, 0 to log V; logits (V, B, K).

    The paper adds 12 times its mean to the cross-entropy of the clean (first) views. Limit: 0 where all views get the
    same answer.
    """
    log_probs = logits.float().log_softmax(-1)
    log_mean = log_probs.logsumexp(0) - math.log(len(logits))
    return (log_probs.exp() * (log_probs - log_mean)).sum(-1).mean(0)
