"""Heads: from the features of a backbone to one logit per class.

A head says in `spatial` what it takes: the feature map (B, C, h, w), or its mean over places (B, C). `embed` gives what the classifier
sees, for metric losses, probes and t-SNE. Torch alone is imported here: prediction needs the heads too.
"""

from __future__ import annotations

import torch
from torch import nn

from recipe.registry import Fraction, Registry

HEADS = Registry("head", "the number of channels and of classes")


class Head(nn.Module):
    """What every head offers. `classifier` is its last layer, which a probe may fill."""

    spatial = False
    classifier: nn.Module

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """(B, D) penultimate features, without dropout."""
        raise NotImplementedError

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, K) logits."""
        return self.classifier(self.embed(features))


@HEADS.register(name="linear")
class Linear(Head):
    """Dropout and one linear layer on averaged features.

    Limit: dropout=0 is the linear layer alone.
    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014, section 4.
    """

    def __init__(self, channels: int, classes: int, /, dropout: Fraction = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, classes)

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C): the features themselves."""
        return features

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C) to (B, K)."""
        return self.classifier(self.dropout(features))
