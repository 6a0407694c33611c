"""Proof that another form of a network answers alike: same pictures, same classes, same probabilities.

The reference pictures come from integer arithmetic alone, so that they are the same on every machine and need not be
stored.
"""

from __future__ import annotations

import numpy as np

from protocol.errors import UserError
from protocol.language import tr

TOLERANCE = 1e-4  # largest difference of a probability
PICTURES = 8  # compared in full
AT_LOAD = 2  # of them, where this runtime has passed all of them before


class UnequalError(UserError):
    """Answers that differ from those they must equal."""


def reference_pictures(size: int, count: int = PICTURES) -> np.ndarray:
    """(count, size, size, 3) uint8: slopes, stripes, rings and grain, each picture of its own colours and scale."""
    y, x = np.mgrid[:size, :size].astype(np.int64) * 256 // size  # the same picture at any size, but for the grain
    made = []
    for number in range(1, count + 1):
        ring = ((x - 128) ** 2 + (y - 128) ** 2) * number // 64
        grain = (x * 1103515245 + y * 12345 + x * y * 2654435761 + number * 97) // 65536 % 64
        made.append(
            np.stack([(x * number + grain) % 256, (ring + y) % 256, (255 - y * number // 2 + grain) % 256], axis=-1)
        )
    return np.stack(made).astype(np.uint8)


def prove(probs: np.ndarray, expected: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """The largest difference of a probability.

    Args:
        probs: (N,K) of the form in question.
        expected: (N,K) of the network.

    Raises:
        UnequalError: another class, another number of classes, no number, or a difference above the tolerance.
    """
    if probs.shape != expected.shape:
        raise UnequalError(
            tr(
                "it gives {given} probabilities per picture instead of {expected}.",
                given=probs.shape[-1],
                expected=expected.shape[-1],
            )
        )
    difference = float(np.abs(probs - expected).max())
    if not difference <= tolerance:  # NaN is refused too
        raise UnequalError(
            tr(
                "a probability differs by {difference:.1e}, and at most {tolerance:.0e} is accepted.",
                difference=difference,
                tolerance=tolerance,
            )
        )
    if changed := int((probs.argmax(axis=1) != expected.argmax(axis=1)).sum()):
        raise UnequalError(
            tr("{changed} of {probs} reference pictures get another class.", changed=changed, probs=len(probs))
        )
    return difference
