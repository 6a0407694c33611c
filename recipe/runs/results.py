"""What a finished fold leaves beside its weights, for summary and resume: its result, with the epochs that led to it.

A fold that an earlier start of the run has finished is taken over where it is whole, else trained anew.
"""

from __future__ import annotations

import dataclasses
import io
import shutil
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from protocol.language import tr
from recipe.data.folds import Fold
from recipe.system.atomic import DamagedError, file_sha256, read_sealed_json, write_bytes, write_sealed_json
from recipe.system.console import say

FORMAT = 2  # 1 had no checksums and no epochs
FILES = ("oof.npz", "model.safetensors", "fold.json")


@dataclass(frozen=True)
class EpochLog:
    """One line of log.jsonl."""

    fold: int
    epoch: int
    lr: float
    train_loss: float
    valid_loss: float
    valid_score: float
    average: bool  # the score is that of the moving average
    pictures_per_second: float
    seconds: float


@dataclass(frozen=True)
class FoldResult:
    """What a finished fold leaves."""

    fold: int
    score: float  # of the kept weights, on the validation rows, with the centre crop alone
    probe_score: float | None  # of logistic regression on the frozen features
    epoch: int  # the kept one; 0 is the start
    seconds: float  # 0 where nothing was trained, and the scores are the probe's
    oof_probs: np.ndarray  # (n, K) float32, one row per validation row, with the centre crop alone
    view_probs: np.ndarray  # (n, K), with the views that the settings name
    probe_probs: np.ndarray | None  # (n, K), likewise
    logs: tuple[EpochLog, ...] = ()


def save_result(folder: Path, result: FoldResult) -> None:
    """`oof.npz`, then `result.json` with the checksums of both and of the weights: it makes a fold finished."""
    stream = io.BytesIO()
    arrays: dict[str, Any] = {
        key: value for key, value in dataclasses.asdict(result).items() if isinstance(value, np.ndarray)
    }
    np.savez(stream, **arrays)
    write_bytes(folder / "oof.npz", stream.getvalue())
    scalars = {key: value for key, value in dataclasses.asdict(result).items() if not isinstance(value, np.ndarray)}
    files = {name: file_sha256(folder / name) for name in FILES if (folder / name).exists()}
    write_sealed_json(folder / "result.json", scalars | {"format": FORMAT, "files": files})


def load_result(folder: Path) -> FoldResult | None:
    """The result of a finished fold; None where it is not finished.

    Raises:
        DamagedError: a file of the fold does not match its checksum, or is of another version.
    """
    if not (folder / "result.json").exists():
        return None
    scalars = read_sealed_json(folder / "result.json")
    try:
        if (version := scalars.pop("format", 1)) != FORMAT:
            raise DamagedError(
                tr(
                    "{folder} is of format {version}; this version reads format {format}",
                    folder=folder / "result.json",
                    version=version,
                    format=FORMAT,
                )
            )
        for name, expected in scalars.pop("files", {}).items():
            if file_sha256(folder / name) != expected:
                raise DamagedError(
                    tr("{folder} is damaged: it does not match the checksum in result.json", folder=folder / name)
                )
        scalars["logs"] = tuple(EpochLog(**log) for log in scalars.get("logs", ()))
        with np.load(folder / "oof.npz", allow_pickle=False) as arrays:
            probs = {key: arrays.get(key) for key in ("oof_probs", "view_probs", "probe_probs")}
        return FoldResult(**(scalars | probs))
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedError(tr("the result in {folder} cannot be read ({error})", folder=folder, error=error)) from None


def finished_fold(folder: Path, fold: Fold) -> FoldResult | None:
    """The result of a fold that is finished and whole; what is damaged is removed, and said."""
    try:
        found = load_result(folder)
    except DamagedError as error:
        say(tr("fold {index}: {error}; the fold is trained anew", index=fold.index, error=error))
        shutil.rmtree(folder)
        return None
    if found is not None:
        say(
            tr(
                "fold {index}: finished before, {score:.4f} at epoch {epoch}",
                index=fold.index,
                score=found.score,
                epoch=found.epoch,
            )
        )
    return found


def finished_folds(folder: Path, folds: Sequence[Fold]) -> list[FoldResult] | None:
    """The results of a run that has all of them, whole; None where something is left to do."""
    if not is_complete(folder, [fold.index for fold in folds]):
        return None
    found = [finished_fold(folder / f"fold{fold.index}", fold) for fold in folds]
    return None if None in found else [result for result in found if result is not None]


def is_complete(folder: Path, folds: Iterable[int]) -> bool:
    """Whether a run has its scores and these folds: going on then adds nothing, and no second row to the record."""
    return (folder / "metrics.json").exists() and all((folder / f"fold{n}" / "result.json").exists() for n in folds)
