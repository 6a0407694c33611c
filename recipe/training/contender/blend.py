"""How a fine-tuned network and the probe answer together: temperature and share, by rows that neither has seen.

Few rows judge, since a row that judges does not train. So both numbers begin at what many sets preferred
(docs/measured.md), and rows move them as far as they are evidence: the share is the mode of a posterior, the likelihood
being that of the mixture. Whatever was expected, no share is taken under which the rows are less likely than under the
probe alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recipe.serving.averaging import tempered

PRIOR_SHARPNESS, SHARPNESS_ROWS = 4.0, 8.0  # few steps, an average of weights and smoothing leave a network unsure
PRIOR_SHARE, SHARE_ROWS = 0.5, 8.0  # of a network that has seen enough; worth so many rows
HALF_SEEN = 50.0  # pictures of a class, repetitions counted, after which a network is expected to be worth half of that
SHARES = np.linspace(0, 1, 21)
SHARPNESSES = np.geomspace(0.5, 16, 41)
TINY = 1e-12


@dataclass(frozen=True)
class Blend:
    """The probabilities are share * network ** (1 / temperature), made to sum to 1, + (1 - share) * probe."""

    share: float  # of the network, in [0, 1]
    temperature: float  # of the network

    def probs(self, network: np.ndarray, probe: np.ndarray) -> np.ndarray:
        """(N, K) float32."""
        mixed = self.share * tempered(network, self.temperature) + (1 - self.share) * probe
        return mixed.astype(np.float32)


def blend(network: np.ndarray, probe: np.ndarray, labels: np.ndarray, seen: float = np.inf) -> Blend:
    """The temperature and the share that the rows and the priors prefer.

    Args:
        network: (N, K) probabilities of the network for rows that it has not seen.
        probe: (N, K), likewise of the probe.
        labels: (N,).
        seen: pictures of a class that the network was trained on, on average, repetitions counted.

    Limit: no rows give the priors; many rows give the likeliest mixture, in which either may stand alone.
    """
    temperature = 1 / _sharpness(network, labels)
    rows = np.arange(len(labels))
    true = tempered(network, temperature)[rows, labels].astype(np.float64), probe[rows, labels].astype(np.float64)
    return Blend(_share(*true, PRIOR_SHARE / (1 + HALF_SEEN / max(seen, TINY))), temperature)


def _sharpness(network: np.ndarray, labels: np.ndarray) -> float:
    rows = np.arange(len(labels))

    def penalty(sharpness: float) -> float:
        true = tempered(network, 1 / sharpness)[rows, labels]
        likelihood = float(np.log(np.maximum(true, TINY)).sum())
        return SHARPNESS_ROWS * np.log(sharpness / PRIOR_SHARPNESS) ** 2 - likelihood

    return float(min(SHARPNESSES, key=penalty))


def _share(network: np.ndarray, probe: np.ndarray, expected: float) -> float:
    """Of the network, by the probabilities (N,) that both give the true class."""
    ends = np.clip(SHARES, 0.01, 0.99)
    prior = SHARE_ROWS * (expected * np.log(ends) + (1 - expected) * np.log(1 - ends))
    mixed = SHARES[:, None] * network + (1 - SHARES[:, None]) * probe
    likelihood = np.log(np.maximum(mixed, TINY)).sum(axis=1)
    posterior = np.where(likelihood >= likelihood[0], likelihood + prior, -np.inf)
    return float(SHARES[int(np.argmax(posterior))])
