"""Pictures x views x folds in as few passes as possible, softmax before averaging. No torch is imported here.

Validation, out-of-fold prediction and the submission's `Predictor` all average here, whatever runtime the networks answer by.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from recipe.views import View

Networks = Callable[[np.ndarray], np.ndarray]  # F networks: crops (B,S,S,3) uint8 to what each says of each, (F,B,D) float32
CROPS_PER_PASS = 32  # on a CPU; more only costs memory


def pass_views(
    networks: Networks, pictures: Iterable[np.ndarray], views: Sequence[View], crops_per_pass: int = CROPS_PER_PASS
) -> Iterator[np.ndarray]:
    """What each of F networks says of each of V views, (F,V,D) float32 per picture, in order.

    Args:
        pictures: decoded pictures (h,w,3) uint8 with the short side that `short_side` names; taken a pass at a time.
    """
    stream = iter(pictures)
    while chunk := list(itertools.islice(stream, max(1, crops_per_pass // len(views)))):
        outputs = networks(np.stack([view(picture) for picture in chunk for view in views]))
        yield from outputs.reshape(len(outputs), len(chunk), len(views), -1).swapaxes(0, 1)


def average(
    networks: Networks, pictures: Iterable[np.ndarray], views: Sequence[View], crops_per_pass: int = CROPS_PER_PASS
) -> Iterator[np.ndarray]:
    """Class probabilities (K,) float32 of each picture, from networks that give probabilities: the mean over views, then over folds."""
    for probs in pass_views(networks, pictures, views, crops_per_pass):
        yield probs.mean(axis=1).mean(axis=0)
