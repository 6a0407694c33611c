"""One finished run after the other, then all together: soup, test size, views, weights, temperature, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocol.language import tr
from recipe.components.views import worth_trying
from recipe.runs.ensemble import Answering
from recipe.runs.folder import RunFolder, TuneError
from recipe.tune.choice import Choice, Trial
from recipe.tune.out_of_fold import Answers, OutOfFold
from recipe.tune.soup import ingredients

SIZE_FACTORS = (1.25, 1.5)  # of the present size


@dataclass(frozen=True)
class Wishes:
    """What is to be tried."""

    views: tuple[str, ...] = ()
    test_sizes: tuple[int, ...] = ()
    soup: bool = False
    temperature: bool = False
    weights: bool = False


@dataclass(frozen=True)
class Tuned:
    """A run with the way of answering that was chosen for it."""

    run: RunFolder
    choice: Choice
    serving: Answering
    soups: tuple[list[Path], ...] = ()  # the weights to average, by fold; empty where no soup was chosen now


@dataclass(frozen=True)
class Decision:
    """Everything that was decided."""

    tuned: tuple[Tuned, ...]
    shares: tuple[float, ...]  # of the runs; they sum to 1
    temperature: float
    trials: tuple[Trial, ...]


def everything(size: int) -> Wishes:
    """What is tried where nothing is named: larger sizes are multiples of 32."""
    sizes = sorted({max(32, 32 * round(size * factor / 32)) for factor in SIZE_FACTORS} - {size})
    return Wishes(worth_trying(), tuple(sizes), soup=True, temperature=True, weights=True)


def pictures_to_answer(run: RunFolder, wishes: Wishes | None = None) -> int:
    """How many pictures `tune` gives to a network, each as often as it does; fewer where a size is refused."""
    wishes = wishes or everything(run.preprocessing.size)
    size = run.serving.test_size or run.preprocessing.size
    sizes = sum(pixels != size for pixels in wishes.test_sizes)
    views = sum(views != (run.serving.views or run.views) for views in wishes.views)
    total = (1 + sizes + views) * len(run.rows)
    if wishes.soup and not _without_snapshots(run):
        # each of n weights alone and n - 1 means, on both halves and on the whole, then each half by the soup of the
        # other
        total += sum(2 * (2 * len(ingredients(fold)) - 1) * len(rows) + len(rows) for fold, rows in run.folds)
    return total


def tune(answering: Sequence[OutOfFold], wishes: Wishes | None = None) -> Decision:
    """The best way of answering for several runs, or for one.

    Args:
        answering: runs on the same rows; the first is the present choice.
        wishes: None tries everything.
    """
    tuned = tuple(tune_run(one, wishes or everything(one.run.preprocessing.size)) for one in answering)
    first, trials = tuned[0], [trial for one in tuned for trial in one.choice.trials]
    together, shares = first.choice, np.ones(1)
    if len(tuned) > 1:
        known = np.all([one.run.fold_of >= 0 for one in tuned], axis=0)
        names = [one.run.folder.name for one in tuned]
        together = Choice(
            first.run.labels, np.where(known, first.run.fold_of, -1), first.run.metric, first.choice.present, names[0]
        )
        shares = together.offer_weights(names, [one.choice.present for one in tuned], wishes is None or wishes.weights)
    before = 0 if len(tuned) > 1 else len(together.trials)
    temperature = together.offer_temperature() if wishes is None or wishes.temperature else 1.0
    return Decision(tuned, tuple(shares.tolist()), temperature, (*trials, *together.trials[before:]))


def tune_run(answering: OutOfFold, wishes: Wishes) -> Tuned:
    """Soup, test size and views of one run. The views and size in force, and a soup not mixed anew, stay."""
    run = answering.run
    present = Answering(
        views=run.serving.views or run.views, test_size=run.serving.test_size, soup=run.serving.soup and not wishes.soup
    )
    name = f"{run.folder.name}: {present.views}, {present.test_size or run.preprocessing.size} px"
    answering.bar.describe(name)
    choice = Choice(run.labels, run.fold_of, run.metric, answering.answers(present), name)
    soups = _try_soup(answering, choice, present) if wishes.soup else ()
    if soups:
        mixed = answering.soups_answers(present, soups)
        choice.present = mixed
    size = present.test_size or run.preprocessing.size
    sizes = [present.model_copy(update={"test_size": pixels}) for pixels in wishes.test_sizes if pixels != size]
    present = _try(answering, choice, present, [(f"{serving.test_size} px", serving) for serving in sizes], soups)
    views = [present.model_copy(update={"views": views}) for views in wishes.views if views != present.views]
    present = _try(answering, choice, present, [(serving.views, serving) for serving in views], soups)
    return Tuned(run, choice, present.model_copy(update={"soup": present.soup or bool(soups)}), soups)


def _try(
    answering: OutOfFold,
    choice: Choice,
    present: Answering,
    candidates: list[tuple[str, Answering]],
    soups: tuple[list[Path], ...],
) -> Answering:
    """The candidate that is better beyond chance, or the present way."""
    offers: list[tuple[str, Answers]] = []
    tried = []
    for name, serving in candidates:
        answering.bar.describe(f"{answering.run.folder.name}: {name}")
        try:
            offers.append((name, answering.soups_answers(serving, soups) if soups else answering.answers(serving)))
            tried.append(serving)
        except TuneError as error:
            choice.refuse(name, str(error))
    winner = choice.offer(offers)
    return present if winner is None else tried[winner]


def _try_soup(answering: OutOfFold, choice: Choice, present: Answering) -> tuple[list[Path], ...]:
    """The weights to average by fold, or nothing where a soup is not better beyond chance."""
    if _without_snapshots(answering.run):
        choice.refuse("greedy soup", "no snapshots to mix; train with snapshot_steps")
        return ()
    answering.bar.describe(tr("{name}: greedy soup", name=answering.run.folder.name))
    answers, soups = answering.soups(present)
    counts = ", ".join(str(len(files)) for files in soups)
    return tuple(soups) if choice.offer([(f"greedy soup of {counts} weights", answers)]) is not None else ()


def _without_snapshots(run: RunFolder) -> bool:
    return all(len(ingredients(fold)) == 1 for fold, _ in run.folds)
