"""One network in place of a run's folds: a student that learns from their out-of-fold probabilities.

Every training row has a teacher that was not trained on it: what the run said of it out of fold. The student trains on the rows of one
fold's training part and is judged on the rows that this fold leaves out, which it has not seen; beside it stands the run's own network of
that fold, trained on the same rows. (A trace remains: the teachers of the training rows have seen the left-out rows. It reaches the
student through probabilities of other pictures only; labelled pictures of their own, --test, are free of it.)

Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipe.config import Config, checked
from recipe.data import Table
from recipe.description import read_description
from recipe.errors import UserError
from recipe.folds import Fold
from recipe.pictures import Pictures
from recipe.plan import plan
from recipe.preprocessing import short_side
from recipe.run_folder import RunFolder
from recipe.summary import CrossValidation
from recipe.train import cross_validate


class DistillError(UserError, ValueError):
    """A run that no student can learn from, or folds that cannot be averaged; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class Task:
    """What a student is trained from."""

    config: Config
    table: Table  # the very rows of the run
    fold: Fold


def task_of(run: RunFolder, table: Table, number: int, changes: Mapping[str, str]) -> Task:
    """The student's settings and rows: those of the run and its fold, with the run's oof.csv as the teacher.

    Args:
        table: `run.table(...)`.
        number: of the fold whose rows judge the student.
        changes: settings that differ from the run's, as on a command line.

    Raises:
        DistillError: the fold was not trained, or rows have no out-of-fold answer.
        ConfigError: a setting that cannot be used.
    """
    trained = np.unique(run.fold_of[run.rows]).tolist()
    if number not in trained:
        raise DistillError(f"--fold {number} was not trained in {run.folder}; its folds are {', '.join(map(str, trained))}.")
    if missing := int((run.fold_of < 0).sum()):
        raise DistillError(
            f"{missing} rows of {run.folder} have no out-of-fold answer, so nothing can teach them: train all folds of it, with --folds 2 or more."
        )
    own = read_description(run.folder / f"fold{number}").config.model_dump()
    taught = {"teacher": str((run.folder / "oof.csv").resolve())}
    left_out = run.fold_of == number
    return Task(checked(Config, own | dict(changes) | taught, "the command line"), table,
                Fold(number, np.flatnonzero(~left_out), np.flatnonzero(left_out)))  # fmt: skip


def train_student(task: Task, folder: Path, metric: str, resume: bool = False) -> CrossValidation:
    """Trains the student and writes its run folder, which is that of any run with one trained fold.

    Raises:
        UserError: a setting, the weights or the folder cannot be used.
    """
    planned = plan(task.config, len(task.table.classes))
    cache_mb = None if task.config.cache_mb < 0 else task.config.cache_mb
    pictures = Pictures(task.table.paths, short_side(planned.preprocessing), cache_mb)
    return cross_validate(planned, task.table, pictures, folder, metric=metric, resume=resume, folds=(task.fold,))
