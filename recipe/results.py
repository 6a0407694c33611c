"""What a run leaves beside its weights: a line per epoch, a result per fold."""

from __future__ import annotations

import dataclasses
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipe.atomic import write_bytes, write_json


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
    seconds: float
    oof_probs: np.ndarray  # (n, K) float32, one row per validation row, with the centre crop alone
    view_probs: np.ndarray  # (n, K), with the views that the settings name
    probe_probs: np.ndarray | None  # (n, K), likewise


def save_result(folder: Path, result: FoldResult) -> None:
    """`oof.npz` and then `result.json`: a folder with `result.json` is a finished fold."""
    stream = io.BytesIO()
    arrays: dict[str, Any] = {key: value for key, value in dataclasses.asdict(result).items() if isinstance(value, np.ndarray)}
    np.savez(stream, **arrays)
    write_bytes(folder / "oof.npz", stream.getvalue())
    scalars = {key: value for key, value in dataclasses.asdict(result).items() if not isinstance(value, np.ndarray)}
    write_json(folder / "result.json", scalars)


def load_result(folder: Path) -> FoldResult | None:
    """The result of a finished fold; None where it is not finished."""
    if not (folder / "result.json").exists():
        return None
    scalars: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    with np.load(folder / "oof.npz") as arrays:
        probs = {key: arrays.get(key) for key in ("oof_probs", "view_probs", "probe_probs")}
    return FoldResult(**(scalars | probs))
