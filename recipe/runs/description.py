"""What a checkpoint knows beside its weights: `fold.json`, which answers without torch.

A folder with `fold.json` is a complete checkpoint; recipe/runs/checkpoint.py writes it and reads the weights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from protocol.language import tr
from protocol.strict import checked
from recipe.config import LEAST_CROP, MOST_PIXELS, Config
from recipe.pictures.preprocessing import Preprocessing
from recipe.proposal import proposed
from recipe.system.atomic import CheckpointError, DamagedError, read_sealed_json

FORMAT = 2  # 1 had no checksums and is refused
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Description:
    """What a checkpoint knows beside its weights; `fold.json`."""

    config: Config
    values: tuple[Any, ...]  # the labels as train.csv has them, by class number; an int stays an int
    prior: tuple[float, ...]  # (K,) share of each class among the training rows; sums to 1
    preprocessing: Preprocessing
    fold: int
    epoch: int
    score: float | None  # validation score of the kept epoch; None where there was no time to judge it
    average: bool = False  # the kept weights are the moving average
    loss: float | None = None  # validation loss of the kept epoch; None where it is not known


def read_description(folder: Path) -> Description:
    """`fold.json` of a checkpoint.

    Raises:
        CheckpointError: it is absent, damaged, or was written by a newer version.
    """
    if not (folder / "fold.json").exists():
        raise CheckpointError(
            tr(
                "{folder} holds no finished checkpoint; train first: {proposed}",
                folder=folder,
                proposed=proposed("main"),
            )
        )
    try:
        return description_of(read_sealed_json(folder / "fold.json"), folder / "fold.json")
    except DamagedError as error:
        raise CheckpointError(tr("{error}; train again or restore the file.", error=error)) from None


def description_of(content: dict[str, Any], path: Path) -> Description:
    """The description in the content of a file.

    Raises:
        CheckpointError: a newer version wrote it, or it holds other things.
    """
    content = dict(content)
    if content.pop("format", None) != FORMAT:
        raise CheckpointError(
            tr("{path} was written by another version of this project; train again or use that version.", path=path)
        )
    content["config"] = checked(Config, content.get("config", {}), f"{path.parent.name}/{path.name}")
    try:
        found = TypeAdapter(Description).validate_python(content)
    except ValidationError as error:
        issue = error.errors()[0]
        place = ".".join(map(str, issue["loc"]))
        raise CheckpointError(
            tr(
                "{path} is damaged ({place}: {msg}); train again or restore the file.",
                path=path,
                place=place,
                msg=issue["msg"],
            )
        ) from None
    if (
        not found.values
        or len(found.values) != len(found.prior)
        or not all(isinstance(value, (int, float, str)) for value in found.values)
    ):
        raise CheckpointError(
            tr("{path} is damaged (its classes do not fit); train again or restore the file.", path=path)
        )
    if why := _out_of_range(found):
        raise CheckpointError(tr("{path} is damaged ({why}); train again or restore the file.", path=path, why=why))
    return found


def _out_of_range(found: Description) -> str:
    """What of a description no training has written, a clause; empty where all of it is in range."""
    kept, prior = found.preprocessing, found.prior
    if not all(0 <= share <= 1 for share in prior) or abs(sum(prior) - 1) > 1e-3:
        return tr("prior: the shares of the classes are from 0 to 1 and sum to 1")
    if not 1 <= kept.size <= MOST_PIXELS:
        return tr(
            "preprocessing.size: {size} is not from 1 to {most_pixels:,}", size=kept.size, most_pixels=MOST_PIXELS
        )
    if not LEAST_CROP <= kept.crop_pct <= 1:
        return tr(
            "preprocessing.crop_pct: {crop_pct} is not from {least_crop} to 1",
            crop_pct=kept.crop_pct,
            least_crop=LEAST_CROP,
        )
    if not all(abs(number) < 1000 for number in kept.mean) or not all(1e-3 <= number < 1000 for number in kept.std):
        return tr("preprocessing.mean and std: three numbers below 1000, std at least 0.001")
    return ""


def fold_number(folder: Path) -> int | None:
    """The number in the name of a fold's folder; None for a copy of one, such as fold0_backup."""
    found = re.fullmatch(r"fold(0|[1-9][0-9]{0,5})", folder.name)
    return int(found[1]) if found else None


def fold_folders(folder: Path) -> list[Path]:
    """The finished fold checkpoints of a run, by number.

    Raises:
        CheckpointError: there is none.
    """
    paths = [path.parent for path in folder.glob("fold*/fold.json")]
    numbered = {number: path for path in paths if (number := fold_number(path)) is not None}
    found = [numbered[number] for number in sorted(numbered)]
    if not found:
        raise CheckpointError(
            tr("{folder} holds no trained fold; train first: {proposed}", folder=folder, proposed=proposed("main"))
        )
    return found
