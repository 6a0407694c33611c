"""L1 regularisation: a term of the loss, unlike weight decay, which belongs to the optimizer.

Source: Tibshirani, "Regression Shrinkage and Selection via the Lasso", 1996, section 2.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch


def l1_penalty(parameters: Iterable[torch.Tensor], weight: float) -> torch.Tensor | float:
    """`weight` times the sum of absolute values of all weights that are trained and have two dimensions or more.

    Biases and norms are left out, as from weight decay. It is added once per optimizer step, not once per micro-batch.
    Limit: weight 0 is 0.
    """
    if not weight:
        return 0.0
    trained = [parameter.abs().sum() for parameter in parameters if parameter.requires_grad and parameter.ndim >= 2]
    return weight * torch.stack(trained).sum() if trained else 0.0
