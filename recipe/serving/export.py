"""Writes a trained fold in a form that answers without what trained it: uint8 pictures in, probabilities out.

Normalisation and softmax are part of the exported graph, BatchNorm is folded, and any number of pictures goes in at
once. The export is kept only if a runtime that is installed here gives the network's own answers to the reference
pictures (recipe/serving/equality.py).
"""

from __future__ import annotations

import importlib.metadata
import logging
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from protocol.language import tr
from recipe.models.merged_batch_norm import merge_batch_norm
from recipe.pictures.preprocessing import at_size
from recipe.runs.checkpoint import load_checkpoint
from recipe.runs.description import fold_folders, read_description
from recipe.runs.ensemble import HERE, Answering, read_answering, read_member
from recipe.serving.backends import backend_of
from recipe.serving.equality import UnequalError, prove, reference_pictures
from recipe.serving.exported import FILE, FILES, FORMAT, Exported, UnusableError, key_of, read_exported
from recipe.serving.parallel import Layout
from recipe.serving.runtimes import EXPORTED, answered, run
from recipe.serving.torch import model_networks
from recipe.serving.written import Exportable, remove, write
from recipe.system.atomic import file_sha256, write_json
from recipe.system.console import duration
from recipe.system.runtime import Runtime

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exportee:
    """A checkpoint that is to be exported."""

    folder: Path
    weights: str
    test_size: int


@dataclass
class ExportResult:
    """What became of a fold."""

    fold: Exportee
    proven: dict[str, float] = field(default_factory=dict)  # largest difference by runtime
    refused: dict[str, str] = field(default_factory=dict)  # reason by runtime
    already: bool = False  # it was there and still stands


def folds_of(folder: Path) -> list[Exportee]:
    """Every fold that answers when the run in `folder` does, those of its members too.

    Raises:
        CheckpointError: nothing was trained there.
        ConfigError: ensemble.json holds an unknown key or a refused value.
    """
    serving = read_answering(folder)
    runs = {
        folder / item.run: serving if item.run == HERE else read_member(folder / item.run) for item in serving.members
    }
    return [
        _fold(path, how) for run_folder, how in (runs or {folder: serving}).items() for path in fold_folders(run_folder)
    ]


def _fold(path: Path, serving: Answering) -> Exportee:
    return Exportee(path, serving.weights_file, serving.test_size)


def export_fold(fold: Exportee, fmt: str, again: bool = False) -> ExportResult:
    """Writes one fold in a format, and `export.json`, which names it, last.

    Args:
        again: also where a valid export is there.

    Raises:
        CheckpointError: the checkpoint is absent or broken, or the disk is full.
        UnusableError: the network cannot be written in this format, or no runtime gives its answers; then nothing is
            left behind.
    """
    model, description = load_checkpoint(fold.folder, weights=fold.weights)
    preprocessing = at_size(description.preprocessing, fold.test_size)
    key = key_of(fold.folder, fold.weights, preprocessing.size)
    before = _standing(fold.folder, key)
    if before is not None and not again and _intact(fold.folder, before, fmt):
        return ExportResult(fold, before.proven, already=True)
    pictures = reference_pictures(preprocessing.size)
    expected = model_networks([model], preprocessing, Runtime(torch.device("cpu")))(pictures)[0]
    write(Exportable(merge_batch_norm(model, preprocessing.size), preprocessing).eval(), pictures[:2], fold.folder, fmt)
    outcome = _proof(fold, fmt, pictures, expected)
    if outcome.refused and not outcome.proven:
        remove(fold.folder, fmt)
        raise UnusableError(
            tr(
                "{folder} is not exported to {fmt}: {refused}",
                folder=fold.folder,
                fmt=fmt,
                refused=" ".join(outcome.refused.values()),
            )
        )
    _record(fold.folder, fmt, key, expected, outcome, before)
    return outcome


def _standing(folder: Path, key: str) -> Exported | None:
    """The export that is there, where it still is of these weights."""
    try:
        exported = read_exported(folder)
    except UnusableError:
        return None
    return exported if exported is not None and exported.key == key else None


def _intact(folder: Path, exported: Exported, fmt: str) -> bool:
    return fmt in exported.files and all(
        (folder / n).is_file() and file_sha256(folder / n) == exported.files[fmt][n] for n in FILES[fmt]
    )


def _proof(fold: Exportee, fmt: str, pictures: np.ndarray, expected: np.ndarray) -> ExportResult:
    """Each installed runtime that reads the format against the network: all pictures at once, and one alone."""
    outcome = ExportResult(fold)
    for backend in (backend for name in EXPORTED if fmt in (backend := backend_of(name)).FORMATS):
        try:
            network = run(backend, [fold.folder / name for name in FILES[fmt]], Layout.of(1))
        except UnusableError as reason:
            log.info("not proven: %s", reason)
            continue
        how = f"{backend.version()}, {fmt}"
        try:
            probs = answered(network, pictures, how)
            prove(answered(network, pictures[-1:], how), expected[-1:])
            outcome.proven[how] = prove(probs, expected)
        except (UnequalError, UnusableError) as error:
            outcome.refused[how] = f"{how}: {error}"
            log.warning("%s", tr("{how} is refused in {fold}: {error}", how=how, fold=fold.folder.name, error=error))
    return outcome


def _record(
    folder: Path, fmt: str, key: str, expected: np.ndarray, outcome: ExportResult, before: Exported | None
) -> None:
    """`export.json`, with the other formats that still stand."""
    others = {name: files for name, files in (before.files if before else {}).items() if name != fmt}
    proven = {how: found for how, found in (before.proven if before else {}).items() if not how.endswith(f", {fmt}")}
    exported = Exported(
        format=FORMAT, key=key, probs=tuple(tuple(map(float, row)) for row in expected),
        files=others | {fmt: {name: file_sha256(folder / name) for name in FILES[fmt]}}, proven=proven | outcome.proven,
        made_with={name: importlib.metadata.version(name) for name in ("torch", "timm")},
    )  # fmt: skip
    write_json(folder / FILE, exported.model_dump(mode="json"))


def format_for_here() -> str:
    """What is worth having on this machine: ONNX where it and a runtime for it are installed, else TorchScript."""
    readers = [name for name in EXPORTED if "onnx" in backend_of(name).FORMATS]
    return "onnx" if find_spec("onnx") and any(map(find_spec, readers)) else "torchscript"


def formats_of(folder: Path) -> list[str]:
    """The formats that the run in `folder` is kept in: that of its settings, and those written by hand.

    Raises:
        CheckpointError: nothing was trained there.
    """
    folds = [fold.folder for fold in folds_of(folder)]
    asked = read_description(folds[0]).config.export
    there = [fmt for fmt, names in FILES.items() if any((fold / names[0]).exists() for fold in folds)]
    wanted = [] if asked == "none" else [format_for_here() if asked == "auto" else asked]
    return list(dict.fromkeys([*wanted, *there]))


def export_run(folder: Path, fmt: str = "auto") -> str:
    """Exports every fold of a finished run, and says so in a line.

    Raises:
        UnusableError: a fold cannot be exported, or no runtime gives its answers; torch goes on answering.
    """
    begin = time.perf_counter()
    fmt = format_for_here() if fmt == "auto" else fmt
    outcomes = [export_fold(fold, fmt) for fold in folds_of(folder)]
    runs = [outcome.fold.folder.parent for outcome in outcomes]  # of members too; where the run has none, theirs alone
    differences = [difference for outcome in outcomes for difference in outcome.proven.values()]
    proof = (
        tr("largest difference of a probability {differences:.1e}", differences=max(differences))
        if differences
        else tr("not proven: no runtime is installed")
    )
    return tr(
        "{folder}/fold*/{files}, {proof}, {duration}",
        folder=folder if folder in runs else runs[0],
        files=FILES[fmt][0],
        proof=proof,
        duration=duration(time.perf_counter() - begin),
    )
