"""An exported network beside its checkpoint: `export.json` names its files, its weights, and the answers due.

    fold0/export.json       what lies there, hashes, answers to the reference pictures
    fold0/model.onnx        for ONNX Runtime and OpenVINO
    fold0/model.xml, .bin   for OpenVINO         fold0/model.pt   TorchScript

Nothing here is believed: an export of other weights, another input size or changed bytes is refused with the reason.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from protocol.errors import UserError
from protocol.language import tr
from protocol.strict import ConfigError, Strict, checked
from recipe.proposal import proposed
from recipe.system.atomic import file_sha256

FILE = "export.json"
FORMAT = 1
FILES = {"onnx": ("model.onnx",), "openvino": ("model.xml", "model.bin"), "torchscript": ("model.pt",)}


def remedy(fold: Path) -> str:
    """What to do about an export of a fold that cannot be used."""
    return tr("export it again: {proposed}", proposed=proposed("export", folder=fold.parent))


class UnusableError(UserError):
    """An export, or a runtime, that does not answer here; the message is a clause that says why."""


class Exported(Strict):
    """`export.json` of a fold."""

    format: Literal[1] = Field(1, description="of this file")
    key: str = Field(description="what the export was made from, see key_of")
    probs: tuple[tuple[float, ...], ...] = Field(description="what the network itself says of the reference pictures")
    files: dict[str, dict[str, str]] = Field(default_factory=dict, description="by format: file and SHA-256")
    proven: dict[str, float] = Field(
        default_factory=dict, description="by runtime, version and format: largest difference of a probability"
    )
    made_with: dict[str, str] = Field(default_factory=dict, description="versions of what made it")

    @property
    def expected(self) -> np.ndarray:
        """(N,K) float32 of the reference pictures."""
        return np.array(self.probs, np.float32)


def key_of(fold: Path, weights: str, size: int) -> str:
    """What an export depends on: weights, their description, the input size, the format of this file."""
    parts = (file_sha256(fold / weights), file_sha256(fold / "fold.json"), size, FORMAT)
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()


def read_exported(fold: Path) -> Exported | None:
    """`export.json` of a fold; None where there is none.

    Raises:
        UnusableError: it cannot be read.
    """
    try:
        return checked(Exported, json.loads((fold / FILE).read_text(encoding="utf-8")), FILE)
    except FileNotFoundError:
        return None
    except (ConfigError, ValueError, OSError) as error:
        raise UnusableError(
            tr(
                "{name}/{file} cannot be used ({error}); {remedy}",
                name=fold.name,
                file=FILE,
                error=str(error).rstrip("."),
                remedy=remedy(fold),
            )
        ) from None


def exported_files(fold: Path, exported: Exported, fmt: str, key: str) -> list[Path]:
    """The files of an export in one format, verified.

    Raises:
        UnusableError: it is absent, stale, or not as it was written.
    """
    if exported.key != key:
        raise UnusableError(
            tr(
                "the export in {name} is of other weights or another input size (stale); {remedy}",
                name=fold.name,
                remedy=remedy(fold),
            )
        )
    for name in FILES[fmt]:
        path = fold / name
        if not path.is_file() or file_sha256(path) != exported.files[fmt].get(name):
            raise UnusableError(
                tr("{fold}/{file} is not as it was exported; {remedy}", fold=fold.name, file=name, remedy=remedy(fold))
            )
    return [fold / name for name in FILES[fmt]]
