"""Folds and views over the cores: each core takes a small piece with one fold's network, by itself.

One thread per piece beats several threads per pass: on two cores, 5 folds x 8 views of EfficientNet-Lite0 at 224 px
took OpenVINO 146 ms so, 251 ms with both threads in each pass, and ONNX Runtime 235 and 544 ms (a shared machine;
`python -m benchmarks.predict`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from recipe.system.machine import cores

Network = Callable[[np.ndarray], np.ndarray]  # crops (B,S,S,3) uint8 to (B,K) float32; called from several threads
PIXELS_PER_CALL = (
    224 * 224
)  # a call at least this large hides its own overhead, and its activations stay in the core's cache


@dataclass(frozen=True)
class Layout:
    """How many calls run at once, and the threads of each."""

    workers: int
    threads: int

    @classmethod
    def of(cls, passes: int) -> Layout:
        """The layout for so many passes (folds x views) per picture. Limit: a single pass takes all cores."""
        workers = max(1, min(cores(), passes))
        return cls(workers, max(1, cores() // workers))


class Spread:
    """F networks as one: crops (B,S,S,3) uint8 to (F,B,K) float32."""

    def __init__(self, networks: Sequence[Network], layout: Layout) -> None:
        self.networks, self.layout = tuple(networks), layout
        self.pool = ThreadPoolExecutor(layout.workers, thread_name_prefix="network")

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        step = self._step(len(crops), crops.shape[1])
        pieces = [
            (network, crops[start : start + step]) for network in self.networks for start in range(0, len(crops), step)
        ]
        answers = list(self.pool.map(lambda piece: piece[0](piece[1]), pieces))
        return np.concatenate(answers).reshape(len(self.networks), len(crops), -1)

    def _step(self, count: int, size: int) -> int:
        """Crops per call: enough pixels, and a piece for every worker."""
        share = math.ceil(count * len(self.networks) / self.layout.workers)
        return max(1, min(count, share, PIXELS_PER_CALL // size**2))
