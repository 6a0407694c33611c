"""Heads: from the features of a backbone to one logit per class.

A head says in `spatial` what it takes: the feature map (B, C, h, w), or its mean over places (B, C). `embed` gives what
the classifier sees, for metric losses, probes and t-SNE. Torch alone is imported here: prediction needs the heads too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from recipe.registry import Count, Fraction, Positive, Registry

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


@HEADS.register(name="root")
class Root(Linear):
    """The signed square root of averaged features, dropout and one linear layer: what linear classifiers of frozen
    features prefer, for rare large values then count for less.

    Limit: features of -1, 0 and 1 are left as they are.
    Source: Perronnin, Sanchez, Mensink, "Improving the Fisher Kernel for Large-Scale Image Classification", 2010,
    section 3.3.
    """

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C) to (B, C), in float32."""
        with torch.autocast(features.device.type, enabled=False):
            return signed_sqrt(features.float())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C) to (B, K)."""
        return self.classifier(self.dropout(self.embed(features)))


class CosineLinear(nn.Module):
    """scale * cosine between the features and one direction per class."""

    def __init__(self, channels: int, classes: int, scale: float) -> None:
        super().__init__()
        self.weight, self.scale = nn.Parameter(torch.empty(classes, channels)), scale
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new directions, as torch's own layers do under this name."""
        nn.init.xavier_uniform_(self.weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, D) to (B, K) in [-scale, scale]."""
        with torch.autocast(features.device.type, enabled=False):
            return self.scale * F.linear(F.normalize(features.float()), F.normalize(self.weight.float()))


@HEADS.register(name="cosine")
class Cosine(Head):
    """Logits are `scale` times the cosine between features and class directions, as ArcFace and CosFace need it.

    Limit: features and directions of length 1 and scale=1 give the inner product.
    Source: Wang et al., "NormFace: L2 Hypersphere Embedding for Face Verification", 2017, section 3.
    """

    def __init__(self, channels: int, classes: int, /, scale: Positive = 30.0) -> None:
        super().__init__()
        self.classifier = CosineLinear(channels, classes, scale)

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C): the features themselves."""
        return features


@HEADS.register(name="gem")
class GeM(Head):
    """Generalised-mean pooling: the p-th root of the mean p-th power over places, one p for all channels.

    Negative features count as 0. p is learnt from its start value unless learn=False.

    Limit: p=1 is average pooling of non-negative features, p to infinity maximum pooling.
    Source: Radenovic, Tolias, Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", 2019, section 3.1.
    """

    spatial = True

    def __init__(
        self, channels: int, classes: int, /, p: Positive = 3.0, learn: bool = True, dropout: Fraction = 0.0
    ) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([float(p)]), requires_grad=learn)
        self.classifier = nn.Linear(channels, classes)
        self.dropout = nn.Dropout(dropout)

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to (B, C)."""
        return generalised_mean(features, self.p)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to (B, K)."""
        return self.classifier(self.dropout(self.embed(features)))


def generalised_mean(features: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) to (B, C) in float32; divided by the maximum first, so that no power overflows."""
    with torch.autocast(features.device.type, enabled=False):
        positive = features.float().clamp(min=1e-6)
        largest = positive.amax((2, 3), keepdim=True).detach()
        return largest.flatten(1) * (positive / largest).pow(p).mean((2, 3)).pow(1 / p)


class Pooled(Head):
    """Second-order features: pooled to one vector, then signed square root, length 1, and a linear layer.

    Source of both normalisations: Lin, RoyChowdhury, Maji, "Bilinear CNN Models for Fine-grained Visual Recognition",
    2015, section 3.1.
    """

    spatial = True

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) float32 to (B, D)."""
        raise NotImplementedError

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to (B, D) of length 1, in float32 always: the products span too wide a range for fp16."""
        with torch.autocast(features.device.type, enabled=False):
            return F.normalize(signed_sqrt(self.pool(features.float())))


def signed_sqrt(vector: torch.Tensor) -> torch.Tensor:
    """sign(v) * sqrt(|v|); 1e-8 under the root keeps the gradient finite next to 0."""
    return vector.sign() * (vector.abs() + 1e-8).sqrt()


@HEADS.register(name="bilinear")
class Bilinear(Pooled):
    """Bilinear pooling: the mean over places of all products of two channels, dim * dim numbers.

    A 1x1 convolution first takes the channels down to `dim`; dim=None keeps them all, which is the paper's full form.

    Limit: one place and one channel give the sign of the feature squared.
    Source: Lin, RoyChowdhury, Maji, "Bilinear CNN Models for Fine-grained Visual Recognition", 2015, section 3.
    """

    def __init__(self, channels: int, classes: int, /, dim: Count | None = 256) -> None:
        super().__init__()
        self.reduce = nn.Identity() if dim is None else nn.Conv2d(channels, dim, 1, bias=False)
        self.classifier = nn.Linear((dim or channels) ** 2, classes)

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to (B, dim * dim)."""
        places = self.reduce(features).flatten(2)
        return (places @ places.transpose(1, 2) / places.shape[2]).flatten(1)


@HEADS.register(name="compact_bilinear")
class CompactBilinear(Pooled):
    """Bilinear pooling in `dim` numbers: tensor sketch, whose inner products equal the full ones in expectation.

    Every channel is added, under a random sign, to a random one of `dim` places, twice independently; the circular
    convolution of the two sketches, by FFT, is a sketch of the outer product. Signs and places are drawn from `seed`
    and kept in the checkpoint. Useful dimensions are 1,024 to 8,192.

    Limit: as dim grows, inner products approach those of the full bilinear vector.
    Source: Gao, Beijbom, Zhang, Darrell, "Compact Bilinear Pooling", 2016, algorithm 2; Pham, Pagh, "Fast and Scalable
    Polynomial Kernels via Explicit Feature Maps", 2013.
    """

    places: torch.Tensor
    signs: torch.Tensor

    def __init__(self, channels: int, classes: int, /, dim: Count = 4096, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.dim = dim
        self.register_buffer("places", torch.randint(dim, (2, channels), generator=generator, device="cpu"))
        self.register_buffer("signs", 2.0 * torch.randint(2, (2, channels), generator=generator, device="cpu") - 1.0)
        self.classifier = nn.Linear(dim, classes)

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to (B, dim). The sum over places is taken before the one transform back."""
        vectors = features.flatten(2).transpose(1, 2)
        first, second = (torch.fft.rfft(self._sketch(vectors, which)) for which in (0, 1))
        return torch.fft.irfft((first * second).mean(1), n=self.dim)

    def _sketch(self, vectors: torch.Tensor, which: int) -> torch.Tensor:
        """(B, L, C) to its count sketch (B, L, dim)."""
        empty = vectors.new_zeros(*vectors.shape[:2], self.dim)
        return empty.index_add(2, self.places[which], vectors * self.signs[which])
