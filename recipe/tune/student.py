"""One network in place of a run's folds: a student that learns from their out-of-fold probabilities (`train_student`),
or without training the mean of their weights (`write_average`).

Every training row has a teacher that was not trained on it: what the run said of it out of fold. The student trains on
the rows of one fold's training part and is judged on the rows that this fold leaves out, which it has not seen; beside
it stands the run's own network of that fold, trained on the same rows. (A trace remains: the teachers of the training
rows have seen the left-out rows. It reaches the student through probabilities of other pictures only; labelled pictures
of their own, --test, are free of it.)

Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2.

The mean is sound where the folds began from the same pretrained weights and stayed near them: then the mean lies in
the same valley. Folds that began at random lie in different ones. Every row of the run was seen by some fold, so out-
of-fold rows cannot judge the mean: it is kept only if it is not worse, beyond chance, than the folds together on
labelled pictures of their own.

Source: Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without
increasing inference time", 2022, section 2 (the uniform soup); Neyshabur, Sedghi, Zhang, "What is being transferred in
transfer learning?", 2020, section 3.4.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocol.errors import UserError
from protocol.language import tr
from protocol.strict import checked
from recipe.config import Config
from recipe.data.folds import Fold
from recipe.data.table import Table
from recipe.models.start import start
from recipe.prepare import pictures_of
from recipe.runs.checkpoint import save_checkpoint
from recipe.runs.description import fold_folders, read_description
from recipe.runs.ensemble import WEIGHTS, read_answering, write_answering
from recipe.runs.folder import RunFolder
from recipe.runs.summary import CrossValidation
from recipe.train import RunOptions, cross_validate
from recipe.training.run import Prepared
from recipe.tune.soup import mean_of_weights


def write_average(run: Path, target: Path) -> None:
    """A folder with one network, the mean of the run's folds, that answers with the run's views and size.

    Limit: of folds with identical weights it is each of them.

    Raises:
        DistillError: one fold alone, folds that began from random weights, a run that joins others, or a target that is
            not empty.
        CheckpointError: nothing was trained there, or the folder cannot be written.
    """
    folds = fold_folders(run)
    descriptions = [read_description(fold) for fold in folds]
    first, serving = descriptions[0], read_answering(run)
    if len(folds) < 2:
        raise DistillError(tr("{run} has one trained fold: there is nothing to average.", run=run))
    if not first.config.pretrained:
        raise DistillError(
            tr(
                "the folds of {run} began from random weights and lie in different valleys, so their "
                "mean is no network; train a student instead (leave --average out).",
                run=run,
            )
        )
    if serving.members:
        raise DistillError(tr("{run} joins several runs; average one of them alone.", run=run))
    if target.exists() and any(target.iterdir()):
        raise DistillError(tr("--out {target} is not empty; name a new folder.", target=target))
    prior = tuple(np.mean([each.prior for each in descriptions], axis=0).tolist())
    about = dataclasses.replace(
        first, fold=0, prior=prior, score=None, loss=None
    )  # no rows are left that could judge it
    save_checkpoint(target / "fold0", mean_of_weights([fold / WEIGHTS for fold in folds]), about)
    shutil.copyfile(run / "run.json", target / "run.json")
    write_answering(target, serving.model_copy(update={"soup": False}))


class DistillError(UserError, ValueError):
    """A run that no student can learn from, or folds that cannot be averaged; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a student is trained from."""

    config: Config
    table: Table  # the very rows of the run
    fold: Fold


def lesson_of(run: RunFolder, table: Table, number: int, changes: Mapping[str, str]) -> Lesson:
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
        raise DistillError(
            tr(
                "--fold {number} was not trained in {folder}; its folds are {str}.",
                number=number,
                folder=run.folder,
                str=", ".join(map(str, trained)),
            )
        )
    if missing := int((run.fold_of < 0).sum()):
        raise DistillError(
            tr(
                "{missing} rows of {folder} have no out-of-fold answer, so nothing can teach them: train "
                "all folds of it, with --folds 2 or more.",
                missing=missing,
                folder=run.folder,
            )
        )
    own = read_description(run.folder / f"fold{number}").config.model_dump()
    taught = {"teacher": str((run.folder / "oof.csv").resolve())}
    left_out = run.fold_of == number
    return Lesson(checked(Config, own | dict(changes) | taught, "the command line"), table,
                Fold(number, np.flatnonzero(~left_out), np.flatnonzero(left_out)))  # fmt: skip


def train_student(task: Lesson, folder: Path, metric: str, resume: bool = False) -> CrossValidation:
    """Trains the student and writes its run folder, which is that of any run with one trained fold.

    Raises:
        UserError: a setting, the weights or the folder cannot be used.
    """
    begun = start(task.config, len(task.table.classes))
    pictures = pictures_of(task.table, begun.preprocessing, task.config)
    prepared = Prepared(begun, task.table, pictures)
    return cross_validate(prepared, folder, RunOptions(metric, resume=resume, folds=(task.fold,)))
