"""Writes a choice into a run folder that is complete in itself: runs are copied, soups lie beside the weights."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from protocol.language import tr
from recipe.runs.checkpoint import save_checkpoint, save_soup
from recipe.runs.description import read_description
from recipe.runs.ensemble import HERE, SOUP, Answering, Weighted, write_answering
from recipe.system.atomic import CheckpointError, write_json
from recipe.tune.soup import mean_of_weights
from recipe.tune.tuning import Decision, Tuned

CARDS = ("run.json", "metrics.json", "oof.csv")


def write_outcome(outcome: Decision, out: Path | None = None) -> Path:
    """The folder that answers as decided: the first run, or its lean copy at `out`; ensemble.json comes last.

    Raises:
        CheckpointError: the disk is full or the folder read-only.
    """
    first, *others = outcome.tuned
    target = out or first.run.folder
    try:
        serving = _copy(first, target) if out else _mix(first)
        for card in CARDS if out else ():
            shutil.copyfile(first.run.folder / card, target / card)
        names = _names([one.run.folder for one in others])
        parts = [(HERE, first, outcome.shares[0])]
        parts += [
            (f"members/{name}", one, share) for name, one, share in zip(names, others, outcome.shares[1:], strict=True)
        ]
        for place, one, share in parts[1:]:
            if share > 0:
                write_answering(target / place, _copy(one, target / place))
        members = tuple(Weighted(run=place, weight=share) for place, _, share in parts if share > 0)
        alone = [member.run for member in members] == [HERE]
        whole: dict[str, Any] = {"members": () if alone else members, "temperature": outcome.temperature}
        write_answering(target, serving.model_copy(update=whole))
        write_json(target / "tune.json", [_row(dataclasses.asdict(trial)) for trial in outcome.trials])
        _clear(target, serving, [member.run for member in members])
    except OSError as error:
        raise CheckpointError(
            tr(
                "cannot write {target}: {error}. Free some space or name another --out.",
                target=target,
                error=error.strerror or error,
            )
        ) from error
    return target


def _mix(tuned: Tuned) -> Answering:
    """The soups beside the weights they were mixed from, which stay."""
    for (fold, _), files in zip(tuned.run.folds, tuned.soups, strict=bool(tuned.soups)):
        save_soup(fold, mean_of_weights(files), read_description(fold))
    return tuned.serving


def _copy(tuned: Tuned, target: Path) -> Answering:
    """The folds with the weights that answer, and nothing else."""
    for number, (fold, _) in enumerate(tuned.run.folds):
        files = tuned.soups[number] if tuned.soups else [fold / tuned.serving.weights_file]
        save_checkpoint(target / fold.name, mean_of_weights(files), read_description(fold))
    return tuned.serving.model_copy(update={"soup": False})


def _clear(target: Path, serving: Answering, used: Sequence[str]) -> None:
    """Soups and members of an earlier choice."""
    for soup in target.glob(f"fold*/{SOUP}") if not serving.soup else ():
        soup.unlink()
    for member in (target / "members").glob("*"):
        if f"members/{member.name}" not in used:
            shutil.rmtree(member)


def _names(folders: Sequence[Path]) -> list[str]:
    """A name per folder, each once."""
    names: list[str] = []
    for folder in folders:
        name = folder.resolve().name
        names.append(name if name not in names else f"{name}-{len(names) + 1}")
    return names


def _row(trial: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in trial.items()}
