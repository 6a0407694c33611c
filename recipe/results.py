"""What a run leaves beside its weights: a line per epoch, a result per fold."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipe.atomic import write_bytes
from recipe.checksum import file_sha256, read_sealed_json, write_sealed_json
from recipe.errors import DamagedError

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
    seconds: float
    oof_probs: np.ndarray  # (n, K) float32, one row per validation row, with the centre crop alone
    view_probs: np.ndarray  # (n, K), with the views that the settings name
    probe_probs: np.ndarray | None  # (n, K), likewise
    logs: tuple[EpochLog, ...] = ()


def save_result(folder: Path, result: FoldResult) -> None:
    """`oof.npz` and then `result.json`, which holds the checksums of both and of the weights: a folder with it is a finished fold."""
    stream = io.BytesIO()
    arrays: dict[str, Any] = {key: value for key, value in dataclasses.asdict(result).items() if isinstance(value, np.ndarray)}
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
            raise DamagedError(f"{folder / 'result.json'} is of format {version}; this version reads format {FORMAT}")
        for name, expected in scalars.pop("files", {}).items():
            if file_sha256(folder / name) != expected:
                raise DamagedError(f"{folder / name} is damaged: it does not match the checksum in result.json")
        scalars["logs"] = tuple(EpochLog(**log) for log in scalars.get("logs", ()))
        with np.load(folder / "oof.npz", allow_pickle=False) as arrays:
            probs = {key: arrays.get(key) for key in ("oof_probs", "view_probs", "probe_probs")}
        return FoldResult(**(scalars | probs))
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedError(f"the result in {folder} cannot be read ({error})") from None
