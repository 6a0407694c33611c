"""Pictures x views x folds in as few passes as possible, softmax before averaging, and the temperature after it.

Validation, out-of-fold prediction and the submission's `Predictor` all average here, whatever runtime the networks
answer by. No torch is imported.

The temperature T divides the logarithm of the averaged probabilities: they become neither too sure nor too timid, and
the answers stay the same. For one network and one view this is the paper's division of the logits (softmax forgets the
constant between the two); for an average over views, folds and runs it pools first and calibrates then, which Rahaman
and Thiery find to be the better order ("Uncertainty Quantification and Deep Ensembles", 2021).

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017, section 4.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from recipe.components.views import View

Networks = Callable[
    [np.ndarray], np.ndarray
]  # F networks: crops (B,S,S,3) uint8 to what each says of each, (F,B,D) float32
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


def average_probs(
    networks: Networks, pictures: Iterable[np.ndarray], views: Sequence[View], crops_per_pass: int = CROPS_PER_PASS
) -> Iterator[np.ndarray]:
    """Class probabilities (K,) float32 of each picture: the networks' mean over views, then over folds."""
    for probs in pass_views(networks, pictures, views, crops_per_pass):
        yield probs.mean(axis=1).mean(axis=0)


TINY = 1e-12  # what a probability of 0 counts as


def tempered(probs: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N,K) float32 under a temperature: above 1 flatter, below 1 sharper.

    Limit: 1 is the identity; towards infinity all classes become equal.
    """
    if temperature == 1:
        return probs
    logits = np.log(np.clip(probs.astype(np.float64), TINY, None)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
