"""What a checkpoint knows beside its weights: `fold.json`, which answers without torch.

A folder with `fold.json` is a complete checkpoint; recipe/checkpoint.py writes it and reads the weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipe.config import Config, checked
from recipe.errors import CheckpointError
from recipe.preprocessing import Preprocessing

FORMAT = 1


@dataclass(frozen=True)
class Description:
    """What a checkpoint knows beside its weights; `fold.json`."""

    config: Config
    values: tuple[Any, ...]  # the labels as train.csv has them, by class number; an int stays an int
    prior: tuple[float, ...]  # (K,) share of each class among the training rows; sums to 1
    preprocessing: Preprocessing
    fold: int
    epoch: int
    score: float  # validation score of the kept epoch
    average: bool = False  # the kept weights are the moving average


def read_description(folder: Path) -> Description:
    """`fold.json` of a checkpoint.

    Raises:
        CheckpointError: it is absent or was written by a newer version.
    """
    try:
        content = json.loads((folder / "fold.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} holds no finished checkpoint; train first: python main.py") from None
    except ValueError as error:
        raise CheckpointError(f"{folder / 'fold.json'} is not JSON ({error}); train again or restore the file.") from None
    if content.pop("format", None) != FORMAT:
        raise CheckpointError(f"{folder} was written by another version of this project; train again or use that version.")
    content["config"] = checked(Config, content["config"], f"{folder.name}/fold.json")
    size: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in content.pop("preprocessing").items()}
    content = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    return Description(preprocessing=Preprocessing(**size), **content)


def fold_folders(folder: Path) -> list[Path]:
    """The finished fold checkpoints of a run, by number.

    Raises:
        CheckpointError: there is none.
    """
    found = sorted((path.parent for path in folder.glob("fold*/fold.json")), key=lambda path: int(path.name.removeprefix("fold")))
    if not found:
        raise CheckpointError(f"{folder} holds no trained fold; train first: python main.py")
    return found
