"""What a sweep found: mean and spread of each row over seeds, its difference to the baseline, and if it is noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocol.language import counted, later, tr
from recipe.sweep.engine import Sweep, epochs_of
from recipe.sweep.journal import TaskState
from recipe.sweep.rows import Row, Task, tasks_of
from recipe.tune.significance import Difference, holm, paired_scores, verdict


@dataclass(frozen=True)
class RowResult:
    """One row of the table."""

    row: Row
    tasks: tuple[Task, ...]
    states: tuple[TaskState, ...]  # one per task
    difference: Difference | None = None  # to the baseline, on the same seeds and folds
    p: float = math.nan  # corrected for the number of rows
    verdict: str = ""

    @property
    def scores(self) -> list[float]:
        """One per finished seed."""
        return [state.ending["score"] for state in self.states if state.finished == "done"]

    @property
    def mean(self) -> float:
        """Over seeds; NaN where no seed is finished."""
        return float(np.mean(self.scores)) if self.scores else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation over seeds (n - 1); NaN for fewer than two."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else math.nan

    @property
    def seconds(self) -> float:
        """Mean training time of a seed, all folds together."""
        seconds = [state.ending["seconds"] for state in self.states if state.finished == "done"]
        return float(np.mean(seconds)) if seconds else math.nan

    @property
    def by_fold(self) -> dict[tuple[int, int], float]:
        """(seed, fold) to score."""
        done = [(task, state) for task, state in zip(self.tasks, self.states, strict=True) if state.finished == "done"]
        return {(task.seed, fold): score for task, state in done for fold, score in enumerate(state.ending["scores"])}

    def count(self, ending: str) -> int:
        """How many seeds ended so."""
        return sum(state.finished == ending for state in self.states)

    def curve(self, figure: str = "score") -> dict[int, list[float]]:
        """Epoch to the figure in every fold and seed; a row that was scored at its start alone has epoch 0."""
        found: dict[int, list[float]] = {}
        for state in self.states:
            for (_, epoch), line in sorted(state.epochs.items()):
                found.setdefault(epoch, []).append(line[figure])
            if not state.epochs and figure == "score" and state.finished == "done":
                found.setdefault(0, []).extend(state.ending["scores"])
        return found


@dataclass(frozen=True)
class Summary:
    """A sweep's table."""

    name: str
    metric: str
    higher_is_better: bool
    baseline: str
    rows: tuple[RowResult, ...]
    began: dict[str, Any]

    @property
    def best(self) -> RowResult | None:
        """The row with the best mean."""
        known = [row for row in self.rows if row.scores]
        sign = 1 if self.higher_is_better else -1
        return max(known, key=lambda row: sign * row.mean) if known else None

    @property
    def seconds(self) -> float:
        """Training time of everything that is finished."""
        return sum(state.ending.get("seconds", 0.0) for row in self.rows for state in row.states)

    @property
    def sentence(self) -> str:
        """The result in words."""
        best, compared = self.best, [row for row in self.rows if row.difference is not None]
        if best is None:
            return tr("No row is finished yet.")
        name, mean = best.row.name, f"{best.mean:.4f}"
        highest = tr("Highest mean: {name} ({mean}).", name=name, mean=mean)
        parts = [highest if self.higher_is_better else tr("Lowest mean: {name} ({mean}).", name=name, mean=mean)]
        better, worse = (
            [row.row.name for row in compared if row.verdict.startswith(how)] for how in ("better", "worse")
        )
        if better:
            parts.append(tr("Better than {baseline}: {rows}.", baseline=self.baseline, rows="; ".join(better)))
        if worse:
            parts.append(tr("Worse than {baseline}: {rows}.", baseline=self.baseline, rows="; ".join(worse)))
        if compared and not better and not worse:
            alone = all(math.isnan(row.p) for row in compared)
            noise = tr("No difference beyond seed noise.")
            parts.append(tr("One pair per row: there is no noise to compare with.") if alone else noise)
        if open_ := sum(not state.finished for row in self.rows for state in row.states):
            parts.append(counted("{count} task is not finished.", "{count} tasks are not finished.", open_))
        return " ".join(parts)


def summarise(sweep: Sweep) -> Summary:
    """The table of a sweep, as far as it has come."""
    state = sweep.journal.read()
    rows = [_row(sweep, row, epochs_of(sweep.file, state, row), state.tasks) for row in sweep.rows(state)]
    baseline = next((row for row in rows if row.row.name == sweep.file.baseline), rows[0] if rows else None)
    name = baseline.row.name if baseline else ""
    return Summary(sweep.file.name, sweep.file.metric, sweep.higher_is_better, name,
                   tuple(_compared(rows, baseline, sweep.higher_is_better)), state.began)  # fmt: skip


def _row(sweep: Sweep, row: Row, epochs: int | None, known: dict[str, TaskState]) -> RowResult:
    tasks = tasks_of(row, sweep.file, epochs)
    return RowResult(row, tuple(tasks), tuple(known.get(task.key, TaskState()) for task in tasks))


def _compared(rows: list[RowResult], baseline: RowResult | None, higher_is_better: bool) -> list[RowResult]:
    differences = [None if baseline is None or row is baseline else _difference(row, baseline) for row in rows]
    corrected = holm([math.nan if difference is None else difference.p for difference in differences])
    found = []
    for row, difference, p in zip(rows, differences, corrected, strict=True):
        words = "" if difference is None else verdict(difference, p, higher_is_better)
        found.append(
            RowResult(row.row, row.tasks, row.states, difference, p, later("baseline") if row is baseline else words)
        )
    return found


def _difference(row: RowResult, baseline: RowResult) -> Difference | None:
    """Over the seeds and folds that both have; None where there is none, or where the folds are others."""
    folds = {task.config.folds for task in (*row.tasks, *baseline.tasks)}
    shared = sorted(row.by_fold.keys() & baseline.by_fold.keys())
    if len(folds) > 1 or not shared:
        return None
    count = folds.pop()
    test_share = 1 / 4 if count == 1 else 1 / (count - 1)
    return paired_scores([row.by_fold[key] - baseline.by_fold[key] for key in shared], test_share)
