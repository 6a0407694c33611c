"""Checkpoints: a folder with `model.safetensors` and `fold.json`, written whole or not at all.

Each rebuilds its own model: settings, classes and preprocessing lie beside the weights, and no class of this program is pickled.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from recipe.atomic import write_bytes, write_json
from recipe.description import FORMAT, Description, read_description
from recipe.errors import CheckpointError
from recipe.models import Classifier, build


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
