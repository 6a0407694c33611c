"""The folds of a run one after another: each is taken over, gone on with or trained, while the time suffices."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.language import tr
from recipe.data.folds import Fold
from recipe.runs.results import FoldResult, finished_fold
from recipe.system.console import say
from recipe.training.clock.cost import work_of
from recipe.training.clock.limit import TimeIsUpError
from recipe.training.fold import FoldTraining
from recipe.training.run import Run
from recipe.training.state_file import drop_states


def train_folds(run: Run, folds: Sequence[Fold], resume: bool) -> list[FoldResult]:
    """The results of the folds for which the time suffices.

    Raises:
        TimeIsUpError: it suffices for none.
    """
    results = []
    try:
        for number, fold in enumerate(folds):
            if (result := train_fold(run, fold, resume, len(folds) - number)) is None:
                break
            results.append(result)
    except TimeIsUpError as reason:
        say(tr("limit    {reason}", reason=reason))
    if not results:
        raise TimeIsUpError(run.pacer.limit.too_short(run.folder))
    return results


def train_fold(run: Run, fold: Fold, resume: bool = False, folds: int = 1) -> FoldResult | None:
    """Trains one fold, or returns its result where `resume` finds it finished; None where the time is too short.

    Args:
        folds: still to be trained, with this one.

    Raises:
        TimeIsUpError: within the fold, before any epoch was validated.
    """
    folder, world = run.folder / f"fold{fold.index}", run.world
    if (finished := world.first(lambda: finished_fold(folder, fold) if resume else None)) is not None:
        run.progress.taken_up(fold.index, list(finished.logs))
        world.first(lambda: drop_states(folder / "last"))
        run.pacer.answering += 1
        return finished
    if (end := run.pacer.begin(fold.index, work_of(run.config, fold), folds)) is None:
        return None
    training = world.agree(lambda: FoldTraining(run, fold, end))
    if resume and training.resume():
        say(
            tr(
                "fold {index}: goes on after epoch {epoch}, step {step} of {loader}",
                index=fold.index,
                epoch=training.state.epoch,
                step=training.state.position.step,
                loader=len(training.loader),
            )
        )
    run.progress.taken_up(fold.index, training.state.logs)
    done = training.state.epoch * len(training.loader) + training.state.position.step
    run.pacer.started(done, training.state.pace.end)
    run.progress.stepped(done, tr("fold {index}", index=fold.index))
    result = training.complete()
    world.first(lambda: drop_states(folder / "last"))
    run.progress.stepped(0, tr("fold {index} done", index=fold.index))
    return result
