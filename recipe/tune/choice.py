"""Choosing how to answer, on out-of-fold rows only: a candidate wins where it is better beyond chance.

Candidates of one kind are compared together: their p values are corrected for being several (Holm), and the best of
those that pass is kept. What is fitted to the labels (soups, weights, temperature) is judged on rows that it was not
fitted to. The weights of several runs are found by greedy selection with replacement.

Sources: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979, section 3 (the tests stand in
recipe/tune/significance.py); Caruana, Niculescu-Mizil, Crew, Ksikes, "Ensemble Selection from Libraries of Models",
2004, section 2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from protocol.language import later
from recipe.components.metrics import METRICS
from recipe.serving.averaging import tempered
from recipe.serving.calibrate import fit_temperature
from recipe.tune.out_of_fold import Answers, quality
from recipe.tune.significance import LEVEL, Comparison, holm, paired_answers

ROUNDS = 40


def select_weights(
    probs: Sequence[np.ndarray], quality: Callable[[np.ndarray], tuple[float, float]], rounds: int = ROUNDS
) -> np.ndarray:
    """Weights (R,) float64 of R runs, not negative, that sum to 1.

    In every round the run that helps most is added once more; the best round counts, the earliest of equals.

    Args:
        probs: (N,K) of each run.
        quality: of probabilities (N,K); larger is better.

    Limit: one run gets weight 1. Never worse than the best single run, by the rows given.
    """
    counts = np.zeros(len(probs))
    total = np.zeros(probs[0].shape)
    best, weights = (-np.inf, -np.inf), counts
    for taken in range(1, rounds + 1):
        qualities = [quality(((total + each) / taken).astype(np.float32)) for each in probs]
        winner = max(range(len(probs)), key=lambda number: qualities[number])
        counts[winner] += 1
        total += probs[winner]
        if qualities[winner] > best:
            best, weights = qualities[winner], counts / taken
    return weights


@dataclass(frozen=True)
class Trial:
    """One line of the table."""

    candidate: str
    score: float  # out of fold, in the unit of `metric`; NaN where it could not be tried
    difference: float  # to the present choice; above 0 is better
    p: float  # two-sided, corrected for the candidates of its kind
    ms: float  # per picture
    kept: bool
    why: str
    metric: str


class Choice:
    """The present way of answering, and what was tried against it.

    Args:
        labels: (N,).
        fold_of: (N,) fold of each row; -1 for rows without an answer.
        metric: name of the run's metric.
        present: what answers now.
    """

    def __init__(
        self,
        labels: np.ndarray,
        fold_of: np.ndarray,
        metric: str,
        present: Answers,
        name: str = later("present choice"),
    ) -> None:
        self.rows = np.flatnonzero(fold_of >= 0)
        self.labels, self.fold_of, self.metric, self.present = labels, fold_of, metric, present
        score = float(METRICS[metric](labels[self.rows], present.probs[self.rows]))
        self.trials = [Trial(name, score, 0.0, 1.0, present.ms, True, later("in force"), metric)]

    def offer(self, candidates: Sequence[tuple[str, Answers]], metric: str = "") -> int | None:
        """The number of the candidate that replaces the present choice; None where none is better beyond chance."""
        metric = metric or self.metric
        compared = [self._compare(answers, metric) for _, answers in candidates]
        corrected = holm([comparison.p for comparison in compared])
        passing = [number for number, c in enumerate(compared) if c.difference > 0 and corrected[number] < LEVEL]
        winner = max(passing, key=lambda number: compared[number].difference, default=None)
        for number, (name, answers) in enumerate(candidates):
            comparison = compared[number]
            kept, why = number == winner, _why(comparison, corrected[number], number == winner)
            self.trials.append(
                Trial(name, comparison.score, comparison.difference, corrected[number], answers.ms, kept, why, metric)
            )
        if winner is not None:
            self.present = candidates[winner][1]
        return winner

    def refuse(self, candidate: str, why: str) -> None:
        """Notes what could not be tried."""
        self.trials.append(Trial(candidate, np.nan, np.nan, np.nan, np.nan, False, why, self.metric))

    def _compare(self, answers: Answers, metric: str) -> Comparison:
        present, candidate = self.present.probs[self.rows], answers.probs[self.rows]
        return paired_answers(METRICS[metric], self.labels[self.rows], present, candidate, exact=metric == "accuracy")

    def cross_fitted(self, fit: Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]) -> np.ndarray:
        """(N,K): each fold's rows answered by what was fitted to the other folds'; one fold alone is cut in two.

        Args:
            fit: from row numbers to a function that answers row numbers.
        """
        parts = self.fold_of.copy()
        if len(np.unique(parts[self.rows])) == 1:
            parts[self.rows] = np.arange(len(self.rows)) % 2
        probs = np.full_like(self.present.probs, np.nan)
        for part in np.unique(parts[self.rows]):
            probs[parts == part] = fit(np.flatnonzero((parts >= 0) & (parts != part)))(np.flatnonzero(parts == part))
        return probs

    def offer_temperature(self) -> float:
        """The temperature to answer with: 1 where none lowers the log loss beyond chance."""

        def fit(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
            temperature = fit_temperature(self.labels[rows], self.present.probs[rows])
            return lambda others: tempered(self.present.probs[others], temperature)

        found = fit_temperature(self.labels[self.rows], self.present.probs[self.rows])
        answers = Answers(self.cross_fitted(fit), self.present.ms)
        return found if self.offer([(f"temperature {found:.3f}", answers)], "log_loss") is not None else 1.0

    def offer_weights(self, names: Sequence[str], runs: Sequence[Answers], greedy: bool = True) -> np.ndarray:
        """Weights of several runs, (R,), summing to 1; all on the first where nothing else is better beyond chance."""
        probs = [run.probs for run in runs]

        def found(rows: np.ndarray) -> np.ndarray:
            return select_weights(
                [each[rows] for each in probs], lambda mean: quality(self.metric, self.labels[rows], mean)
            )

        def fit(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
            weights = found(rows)
            return lambda others: weighted([each[others] for each in probs], weights)

        equal = np.full(len(runs), 1 / len(runs))
        choices = [(f"equal weights of {', '.join(names)}", equal, weighted(probs, equal))]
        if greedy:
            best = found(self.rows)
            shares = ", ".join(f"{weight:.3f} {name}" for name, weight in zip(names, best, strict=True))
            choices.append((f"weights {shares}", best, self.cross_fitted(fit)))
        offers = [
            (name, Answers(p, sum(r.ms for r, w in zip(runs, shares, strict=True) if w))) for name, shares, p in choices
        ]
        winner = self.offer(offers)
        return np.eye(len(runs))[0] if winner is None else choices[winner][1]


def weighted(probs: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """The weighted mean of probabilities, float32."""
    return np.average(np.stack(probs), axis=0, weights=weights).astype(np.float32)


def _why(comparison: Comparison, p: float, kept: bool) -> str:
    if kept:
        return later("better beyond chance")
    if comparison.difference == 0:
        return later("no difference")
    if p >= LEVEL:
        better = comparison.difference > 0
        return later("better by no more than chance") if better else later("worse by no more than chance")
    return later("better, but another is better still") if comparison.difference > 0 else later("worse")
