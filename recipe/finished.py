"""Folds that an earlier start of the run has finished: taken over where they are whole, trained anew where they are damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

from recipe.console import say
from recipe.errors import DamagedError
from recipe.folds import Fold
from recipe.results import FoldResult, load_result


def finished_fold(folder: Path, fold: Fold) -> FoldResult | None:
    """The result of a fold that is finished and whole; what is damaged is removed, and said."""
    try:
        found = load_result(folder)
    except DamagedError as error:
        say(f"fold {fold.index}: {error}; the fold is trained anew")
        shutil.rmtree(folder)
        return None
    if found is not None:
        say(f"fold {fold.index}: finished before, {found.score:.4f} at epoch {found.epoch}")
    return found


def finished_folds(folder: Path, folds: tuple[Fold, ...]) -> list[FoldResult] | None:
    """The results of a run that has all of them, whole; None where something is left to do."""
    if not (folder / "metrics.json").exists() or not all((folder / f"fold{fold.index}" / "result.json").exists() for fold in folds):
        return None
    found = [finished_fold(folder / f"fold{fold.index}", fold) for fold in folds]
    return None if None in found else [result for result in found if result is not None]
