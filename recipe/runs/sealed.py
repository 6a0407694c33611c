"""Tensor files that know their own checksum: safetensors with a JSON description and a digest of both in the header.

Nothing is unpickled, so a file from anywhere can do no more than be refused. The digest recognises what a killed
process, a full disk or a bad sector leaves; it is no signature, and cannot tell a forger's file from an own one.

Source: safetensors, "Format" (8 bytes of header length, a JSON header, then the raw tensors).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from protocol.language import tr
from recipe.system.atomic import DamagedError, atomic

FORMAT = 2  # 1 had no checksum: torch.save for states, a bare safetensors file for weights
KEY = "about"  # one entry alone: safetensors writes several in no fixed order


def write_sealed(path: Path, tensors: dict[str, torch.Tensor], about: dict[str, Any]) -> str:
    """Writes tensors and a description in JSON's types, whole or not at all; returns the digest."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    sealed = digest(plain, about)
    with atomic(path) as temporary, _disk_errors():
        save_file(plain, temporary, {KEY: json.dumps({"format": FORMAT, "sha256": sealed, "content": about})})
    return sealed


def read_sealed(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors on the CPU, and their description.

    Raises:
        DamagedError: the file is absent, torn, altered, foreign or of another version.
    """
    about = read_about(path)
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DamagedError(tr("{path} cannot be read ({line})", path=path, line=_line(error))) from None
    if digest(tensors, about["content"]) != about["sha256"]:
        raise DamagedError(tr("{path} is damaged: its content does not match its checksum", path=path))
    return tensors, about["content"]


def read_about(path: Path) -> dict[str, Any]:
    """Format, digest and description alone, without the tensors; what they say is not checked against the tensors.

    Raises:
        DamagedError: as `read_sealed`.
    """
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[KEY])
        version = about["format"]
    except FileNotFoundError:
        raise DamagedError(tr("{path} does not exist", path=path)) from None
    except (OSError, SafetensorError) as error:
        raise DamagedError(
            tr("{path} cannot be read ({line}): it is torn, or no safetensors file", path=path, line=_line(error))
        ) from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise DamagedError(
            tr(
                "{path} carries no checksum: it was not written by this project, or by a version before it had one",
                path=path,
            )
        ) from None
    if version != FORMAT or not {"sha256", "content"} <= set(about):
        raise DamagedError(
            tr(
                "{path} is of format {version}; this version reads format {format}",
                path=path,
                version=version,
                format=FORMAT,
            )
        )
    return about


def digest(tensors: dict[str, torch.Tensor], about: dict[str, Any]) -> str:
    """SHA-256 over the description and over name, type, shape and bytes of every tensor, 64 hex digits."""
    total = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        total.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


@contextlib.contextmanager
def _disk_errors() -> Any:
    """A full disk is an OSError here as everywhere else, for `atomic` to put into words."""
    try:
        yield
    except SafetensorError as error:
        raise OSError(_line(error)) from error


def _line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
