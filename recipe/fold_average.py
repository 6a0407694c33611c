"""One network in place of a run's folds without training: the mean of their weights.

It is sound where the folds began from the same pretrained weights and stayed near them: then the mean lies in the same valley. Folds
that began at random lie in different ones. Every row of the run was seen by some fold, so out-of-fold rows cannot judge the mean: it
is kept only if it is not worse, beyond chance, than the folds together on labelled pictures of their own.

Source: Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing inference
time", 2022, section 2 (the uniform soup); Neyshabur, Sedghi, Zhang, "What is being transferred in transfer learning?", 2020, section 3.4.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np

from recipe.checkpoint import save_checkpoint
from recipe.description import fold_folders, read_description
from recipe.serving import WEIGHTS, read_serving, write_serving
from recipe.soup import average
from recipe.student import DistillError


def write_average(run: Path, target: Path) -> None:
    """A folder with one network, the mean of the run's folds, that answers with the run's views and size.

    Limit: of folds with identical weights it is each of them.

    Raises:
        DistillError: one fold alone, folds that began from random weights, a run that joins others, or a target that is not empty.
        CheckpointError: nothing was trained there, or the folder cannot be written.
    """
    folds = fold_folders(run)
    descriptions = [read_description(fold) for fold in folds]
    first, serving = descriptions[0], read_serving(run)
    if len(folds) < 2:
        raise DistillError(f"{run} has one trained fold: there is nothing to average.")
    if not first.config.pretrained:
        raise DistillError(
            f"the folds of {run} began from random weights and lie in different valleys, so their mean is no network; train a student instead "
            "(leave --average out)."
        )
    if serving.members:
        raise DistillError(f"{run} joins several runs; average one of them alone.")
    if target.exists() and any(target.iterdir()):
        raise DistillError(f"--out {target} is not empty; name a new folder.")
    prior = tuple(np.mean([each.prior for each in descriptions], axis=0).tolist())
    about = dataclasses.replace(first, fold=0, prior=prior, score=None, loss=None)  # no rows are left that could judge it
    save_checkpoint(target / "fold0", average([fold / WEIGHTS for fold in folds]), about)
    shutil.copyfile(run / "run.json", target / "run.json")
    write_serving(target, serving.model_copy(update={"soup": False}))
