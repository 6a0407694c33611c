"""The curve of a learning-rate range test: smoothing, the suggestion read from it, and a plot in characters.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SMOOTHING = 0.9  # weight of the past in the moving averages: about ten steps are averaged
DIVERGED = 4.0  # times the lowest smoothed loss: the test ends there
SHORTEST = 8  # steps before the end is looked for, and the shortest curve that a suggestion is read from


@dataclass(frozen=True)
class Curve:
    """Rates and losses step by step, with their moving averages."""

    rates: np.ndarray  # (n,) of the optimizer's first group, rising
    losses: np.ndarray  # (n,) before the step at that rate
    smooth_rates: np.ndarray  # (n,) moving geometric mean
    smooth_losses: np.ndarray  # (n,) moving mean
    diverged: bool  # the test ended before its highest rate


@dataclass(frozen=True)
class Suggestion:
    """What a curve says."""

    steepest: float  # the rate at which the loss falls fastest
    minimum: float  # the rate at which the loss is lowest
    tenth: float  # a tenth of it
    clear: bool  # the fall is larger than the noise of the losses

    @property
    def lr(self) -> float:
        """The more careful of the two."""
        return min(self.steepest, self.tenth)


def exponential_rates(lowest: float, highest: float, steps: int) -> np.ndarray:
    """`steps` rates from `lowest` to `highest`, each the same multiple of the one before."""
    return np.geomspace(lowest, highest, steps)


def smooth(values: np.ndarray, weight: float = SMOOTHING) -> np.ndarray:
    """Exponential moving average with its bias towards zero corrected.

    Limit: weight=0 leaves the values as they are.
    Source: Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2015, section 3 (the correction).
    """
    averages, average = np.empty(len(values)), 0.0
    for step, value in enumerate(values):
        average = weight * average + (1 - weight) * value
        averages[step] = average / (1 - weight ** (step + 1))
    return averages


def curve(rates: np.ndarray, losses: np.ndarray, diverged: bool = False, weight: float = SMOOTHING) -> Curve:
    """The curve with its averages.

    The logarithms of the rates are averaged with the same weights as the losses, so that the average does not shift the
    curve to the
    right: a loss that is a straight line over the logarithm of the rate stays that line.
    """
    rates, losses = np.asarray(rates, float), np.asarray(losses, float)
    return Curve(rates, losses, np.exp(smooth(np.log(rates), weight)), smooth(losses, weight), diverged)


def has_diverged(losses: list[float]) -> bool:
    """Whether the smoothed loss has risen to a multiple of its lowest value, or is no number."""
    if not math.isfinite(losses[-1]):
        return True
    if len(losses) < SHORTEST:
        return False
    averages = smooth(np.array(losses))
    return bool(averages[-1] > DIVERGED * averages.min())


def suggest(found: Curve) -> Suggestion | None:
    """Rates read from a curve; None where it is too short.

    The slope is that of a straight line through a tenth of the curve, over the logarithm of the rate, at rates below
    the minimum.
    """
    if len(found.rates) < SHORTEST:
        return None
    logs, losses = np.log(found.smooth_rates), found.smooth_losses
    lowest = int(np.argmin(losses))
    half = max(2, len(losses) // 20)
    slopes = {middle: _slope(logs, losses, middle, half) for middle in range(min(half, lowest), max(lowest, half) + 1)}
    steepest = min(slopes, key=lambda middle: slopes[middle])
    minimum = float(found.smooth_rates[lowest])
    return Suggestion(float(found.smooth_rates[steepest]), minimum, minimum / 10, _is_clear(found, lowest))


def _slope(logs: np.ndarray, losses: np.ndarray, middle: int, half: int) -> float:
    window = slice(max(0, middle - half), middle + half + 1)
    return float(np.polyfit(logs[window], losses[window], 1)[0])


def _is_clear(found: Curve, lowest: int) -> bool:
    """Whether the mean loss around the minimum lies four standard errors below that of the first tenth.

    Four, because the minimum is the lowest of many places. The noise is that of neighbouring losses, in which a trend
    cancels.
    """
    count = max(3, len(found.losses) // 10)
    noise = float(np.std(np.diff(found.losses[: max(lowest + 1, count)]))) / math.sqrt(2)
    around = found.losses[max(0, lowest - count + 1) : lowest + 1]
    return float(found.losses[:count].mean() - around.mean()) > 4 * noise * math.sqrt(1 / count + 1 / len(around))


def text_plot(found: Curve, suggestion: Suggestion | None, width: int = 72, height: int = 16) -> str:
    """The smoothed curve in characters: `*` the loss, `|` the steepest rate, `:` a tenth of the minimum's."""
    logs, losses = np.log10(found.smooth_rates), found.smooth_losses
    top, bottom = min(losses.max(), 2 * np.median(losses)), losses.min()
    grid = [[" "] * width for _ in range(height)]
    if suggestion is not None:
        for rate, mark in ((suggestion.tenth, ":"), (suggestion.steepest, "|")):
            for line in grid:
                line[_place(math.log10(rate), logs[0], logs[-1], width)] = mark
    for log, loss in zip(logs, losses, strict=True):
        grid[_place(min(loss, top), top, bottom, height)][_place(log, logs[0], logs[-1], width)] = "*"
    labels = [f"{top:9.4f}", *[" " * 9] * (height - 2), f"{bottom:9.4f}"]
    lines = [f"{label} |{''.join(line).rstrip()}" for label, line in zip(labels, grid, strict=True)]
    ends = f"{found.smooth_rates[0]:.1e}", f"{found.smooth_rates[-1]:.1e}"
    return "\n".join([*lines, " " * 10 + "+" + "-" * width, " " * 11 + ends[0] + ends[1].rjust(width - len(ends[0]))])


def _place(value: float, first: float, last: float, count: int) -> int:
    share = (value - first) / (last - first) if last != first else 0.0
    return min(count - 1, max(0, round(share * (count - 1))))
