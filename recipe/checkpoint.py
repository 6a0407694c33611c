"""Checkpoints: a folder with `model.safetensors` and `fold.json`, written whole or not at all.

Each rebuilds its own model: settings, classes and preprocessing lie beside the weights, and no class of this program is pickled.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from recipe.atomic import write_bytes, write_json
from recipe.config import Config, checked
from recipe.errors import CheckpointError
from recipe.models import Classifier, Preprocessing, build

FORMAT = 1


@dataclasses.dataclass(frozen=True)
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


def save_checkpoint(folder: Path, state: dict[str, torch.Tensor], description: Description) -> None:
    """The weights first, then the description: a folder with `fold.json` is complete."""
    write_bytes(folder / "model.safetensors", save({key: value.detach().cpu().contiguous() for key, value in state.items()}))
    content = dataclasses.asdict(dataclasses.replace(description, config=None)) | {"config": description.config.model_dump()}  # type: ignore[arg-type]
    write_json(folder / "fold.json", {"format": FORMAT, **content})


def save_snapshot(folder: Path, state: dict[str, torch.Tensor], step: int, keep: int = 0) -> None:
    """`snapshots/step00000123.safetensors` of a fold; with `keep`, only so many stay: the newest, and the others evenly thinned."""
    snapshots = folder / "snapshots"
    write_bytes(snapshots / f"step{step:08d}.safetensors", save({key: value.detach().cpu().contiguous() for key, value in state.items()}))
    there = sorted(snapshots.glob("step*.safetensors"))
    while keep and len(there) > keep:
        steps = [int(path.stem.removeprefix("step")) for path in there]
        gaps = [steps[i + 1] - (steps[i - 1] if i else 0) for i in range(len(there) - 1)]
        there.pop(gaps.index(min(gaps))).unlink()


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


def load_checkpoint(folder: Path, device: torch.device | str = "cpu", weights: str = "model.safetensors") -> tuple[Classifier, Description]:
    """The model in evaluation mode on `device`, whatever device it was trained on, with the weights of that file.

    Raises:
        CheckpointError: it is absent or broken.
    """
    description = read_description(folder)
    model = build(description.config, len(description.values))
    try:
        model.load_state_dict(load_file(folder / weights))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{folder / weights} cannot be used: {str(error).splitlines()[0]} Train again or restore it.") from None
    return model.to(device).eval(), description


def fold_folders(folder: Path) -> list[Path]:
    """The finished fold checkpoints of a run, by number.

    Raises:
        CheckpointError: there is none.
    """
    found = sorted((path.parent for path in folder.glob("fold*/fold.json")), key=lambda path: int(path.name.removeprefix("fold")))
    if not found:
        raise CheckpointError(f"{folder} holds no trained fold; train first: python main.py")
    return found
