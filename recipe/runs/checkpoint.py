"""Checkpoints: a folder with `model.safetensors` and `fold.json`, written whole or not at all.

Each rebuilds its own model: settings, classes and preprocessing lie beside the weights, and no class of this program is
pickled.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from protocol.language import tr
from recipe.models.classifier import Classifier, build
from recipe.runs.description import FORMAT, WEIGHTS, Description, description_of, read_description
from recipe.runs.ensemble import SOUP
from recipe.runs.sealed import read_sealed, write_sealed
from recipe.system.atomic import CheckpointError, DamagedError, read_sealed_json, write_sealed_json

KINDS = {WEIGHTS: "checkpoint", SOUP: "soup"}  # by file, what its header says it is


def save_checkpoint(folder: Path, state: dict[str, torch.Tensor], description: Description) -> None:
    """The weights first, with description and checksum, then the description alone for who needs no weights."""
    content = _content(description)
    write_sealed(folder / WEIGHTS, state, {"kind": "checkpoint", "description": content})
    write_sealed_json(folder / "fold.json", content)


def save_soup(folder: Path, state: dict[str, torch.Tensor], description: Description) -> None:
    """`soup.safetensors` beside the weights it was mixed from, with a checksum and their fold's description."""
    write_sealed(folder / SOUP, state, {"kind": "soup", "description": _content(description)})


def _content(description: Description) -> dict[str, Any]:
    content = dataclasses.asdict(dataclasses.replace(description, config=None))  # type: ignore[arg-type]
    return {"format": FORMAT, **content, "config": description.config.model_dump()}


def read_checkpoint(folder: Path) -> tuple[dict[str, torch.Tensor], Description]:
    """Weights on the CPU and their description; a `fold.json` that a kill left behind them is written anew.

    Raises:
        DamagedError: the weights are absent, torn, altered or not a checkpoint.
    """
    tensors, content = _sealed_weights(folder / WEIGHTS)
    try:
        beside = read_sealed_json(folder / "fold.json")
    except DamagedError:
        beside = {}
    if beside != content:
        write_sealed_json(folder / "fold.json", content)
    return tensors, description_of(content, folder / WEIGHTS)


def _sealed_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    tensors, about = read_sealed(path)
    if about.get("kind") != KINDS[path.name]:
        raise DamagedError(tr("{path} is not a {kinds}", path=path, kinds=KINDS[path.name]))
    return tensors, about["description"]


def save_snapshot(folder: Path, state: dict[str, torch.Tensor], step: int, keep: int = 0) -> None:
    """A fold's `snapshots/step00000123.safetensors`; `keep` of them stay: the newest, others evenly thinned."""
    snapshots = folder / "snapshots"
    write_sealed(snapshots / f"step{step:08d}.safetensors", state, {"kind": "snapshot", "step": step})
    there = sorted(snapshots.glob("step*.safetensors"))
    while keep and len(there) > keep:
        steps = [int(path.stem.removeprefix("step")) for path in there]
        gaps = [steps[i + 1] - (steps[i - 1] if i else 0) for i in range(len(there) - 1)]
        there.pop(gaps.index(min(gaps))).unlink()


def load_checkpoint(
    folder: Path, device: torch.device | str = "cpu", weights: str = WEIGHTS
) -> tuple[Classifier, Description]:
    """The model in evaluation mode on `device`, whatever device it was trained on, with the weights of that file.

    Raises:
        CheckpointError: it is absent, damaged, or not what `fold.json` describes.
    """
    description = read_description(folder)
    model = build(description.config, len(description.values))
    try:
        model.load_state_dict(_weights(folder, weights, description))
    except (DamagedError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise CheckpointError(
            tr(
                "{folder} cannot be used: {reason}. {again}",
                folder=folder / weights,
                reason=reason,
                again=tr("Tune again or restore it.") if weights == SOUP else tr("Train again or restore it."),
            )
        ) from None
    return model.to(device).eval(), description


def _weights(folder: Path, name: str, description: Description) -> dict[str, torch.Tensor]:
    """Weights that match checksum and description. Bare, older ones are refused: nothing vouches for them."""
    tensors, content = _sealed_weights(folder / name)
    own = description_of(content, folder / name)
    for what in ("config", "values", "preprocessing", "fold"):
        if getattr(own, what) != getattr(description, what):
            raise DamagedError(
                tr("it belongs to another checkpoint than fold.json, which has another {what}", what=what)
            )
    for part, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise DamagedError(tr("{part} holds numbers that are none (NaN or infinite)", part=part))
    return tensors
