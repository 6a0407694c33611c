"""The journal of a sweep as a study in optuna's own storage, for its dashboard: optuna-dashboard sqlite:///FILE.

The journal stays the truth: the study is written anew each time, and nothing is read from it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from protocol.errors import UserError
from protocol.language import tr
from recipe.sweep.engine import Sweep, epochs_of
from recipe.sweep.file import SweepFile
from recipe.sweep.journal import SweepState, TaskState
from recipe.sweep.rows import Row, listed_rows, named, tasks_of
from recipe.sweep.search import distribution, load_optuna, steps

FIGURES = ("host", "device", "precision", "seconds", "scores")  # of a task's end, as they stand in the journal


def write_study(sweep: Sweep, file: Path) -> int:
    """Writes the rows that have begun as trials of the study `sweep.file.name` into an SQLite file; how many there are.

    A row is one trial: its value is the mean over its seeds, its intermediate values are their means by epochs done.

    Raises:
        UserError: optuna is absent, the sweep names its rows instead of a space, or the file cannot be written.
    """
    if not sweep.file.space:
        raise UserError(
            tr("--study: rows that are named lie in no space, and optuna's studies need one: leave it out.")
        )
    optuna = load_optuna()
    state = sweep.journal.read()
    distributions = {key: distribution(optuna, values) for key, values in sweep.file.space.items()}
    trials = [_trial(optuna, row, sweep.file, state, distributions) for row in _rows(sweep.file, state)]
    trials = [trial for trial in trials if trial is not None]
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{file.absolute()}")
        if sweep.file.name in optuna.get_all_study_names(storage):
            optuna.delete_study(study_name=sweep.file.name, storage=storage)
        direction = "maximize" if sweep.higher_is_better else "minimize"
        study = optuna.create_study(storage=storage, study_name=sweep.file.name, direction=direction)
        study.add_trials(trials)
    except Exception as error:  # the storage's own, of whatever database library it has
        reason = str(error).strip().splitlines()[0]
        raise UserError(tr("--study {file} cannot be written ({reason}).", file=file, reason=reason)) from error
    return len(trials)


def _rows(file: SweepFile, state: SweepState) -> list[Row]:
    return [named(line["settings"]) for line in state.rows] if file.search == "tpe" else listed_rows(file)


def _trial(optuna: Any, row: Row, file: SweepFile, state: SweepState, distributions: dict[str, Any]) -> Any:
    """The trial of a row; None where none of its seeds has begun."""
    tasks = tasks_of(row, file, epochs_of(file, state, row))
    known = [state.tasks[task.key] for task in tasks if task.key in state.tasks]
    if not known:
        return None
    name = _state(known, len(tasks))
    scores = [task.ending["score"] for task in known if "score" in task.ending]
    told = {str(task.seed): {key: task.ending[key] for key in FIGURES if key in task.ending} for task in known}
    trial = optuna.create_trial(
        params=row.settings, distributions=distributions, state=getattr(optuna.trial.TrialState, name),
        value=float(np.mean(scores)) if name == "COMPLETE" else None,
        intermediate_values=_means([steps(task, tasks[0].config.epochs) for task in known]),
        user_attrs={"row": row.name, "scores by seed": scores, "computed": told},
    )  # fmt: skip
    if name != "RUNNING":
        trial.datetime_complete = datetime.fromtimestamp(max(task.ending["at"] for task in known))
    trial.datetime_start = datetime.fromtimestamp(min(task.began for task in known))
    return trial


def _state(known: list[TaskState], seeds: int) -> str:
    """optuna's name of where a row stands."""
    ends = {task.finished for task in known}
    if "failed" in ends:
        return "FAIL"
    if len(known) < seeds or "" in ends:
        return "RUNNING"
    return "PRUNED" if "pruned" in ends else "COMPLETE"


def _means(seeds: list[dict[int, float]]) -> dict[int, float]:
    """The mean over seeds at every step that one of them has reached."""
    return {
        step: float(np.mean([each[step] for each in seeds if step in each])) for step in sorted(set().union(*seeds))
    }
