"""The CIFAR-10 and CIFAR-100 "python version" files, unpacked: pickles of arrays, turned once into PNG files.

Source: Alex Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and the layout described with
the
files: rows of 3,072 bytes, red, green and blue planes of 32 x 32. Unpickling runs code that a file names, so only what
    NumPy arrays
need is let through.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from protocol.language import tr
from recipe.data.findings import DataError

_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
_LAYOUTS = (  # marker file, its key for the class names, key of the labels, files of the parts
    (
        "batches.meta",
        b"label_names",
        b"labels",
        {"train": [f"data_batch_{n}" for n in range(1, 6)], "test": ["test_batch"]},
    ),
    ("meta", b"fine_label_names", b"fine_labels", {"train": ["train"], "test": ["test"]}),
)


@dataclass(frozen=True)
class CifarFiles:
    """Pictures of one part, as PNG files, with label numbers and class names."""

    paths: list[Path]  # (N,)
    labels: np.ndarray  # (N,) int64
    classes: tuple[str, ...]  # (K,)


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return super().find_class(module.replace("numpy.core", "numpy._core") if hasattr(np, "_core") else module, name)


def is_cifar(folder: Path) -> bool:
    """Whether the folder holds unpacked CIFAR files."""
    return any((folder / marker).is_file() for marker, *_ in _LAYOUTS)


def read_cifar_files(folder: Path, part: str = "train") -> CifarFiles:
    """Pictures of `part` ("train" or "test"), written to `folder`/png at the first call.

    Raises:
        DataError: a file is missing or damaged or holds more than arrays, or the PNGs cannot be written.
    """
    marker, names_key, labels_key, parts = next(layout for layout in _LAYOUTS if (folder / layout[0]).is_file())
    if part not in parts:
        raise DataError(tr("CIFAR has the parts {parts}, not {part!r}.", parts=", ".join(parts), part=part))
    classes = tuple(name.decode("utf-8") for name in _unpickle(folder / marker)[names_key])
    paths: list[Path] = []
    labels: list[int] = []
    for name in parts[part]:
        batch = _unpickle(folder / name)
        pixels = _pixels(folder / name, batch.get(b"data"), len(batch.get(labels_key, ())))
        paths += _write_pngs(folder / "png" / name, pixels)
        labels += batch[labels_key]
    return CifarFiles(paths, np.array(labels, np.int64), classes)


def _unpickle(file: Path) -> dict[bytes, Any]:
    try:
        content = _ArrayUnpickler(io.BytesIO(file.read_bytes()), encoding="bytes").load()
    except FileNotFoundError:
        raise DataError(
            tr("The CIFAR file {file} is missing. Unpack the archive again, whole, into one folder.", file=file)
        ) from None
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            tr(
                "The CIFAR file {file} cannot be read: {error}. Unpack the original archive again.",
                file=file,
                error=error,
            )
        ) from None
    if not isinstance(content, dict):
        raise DataError(tr("The CIFAR file {file} holds no dictionary. Unpack the original archive again.", file=file))
    return content


def _pixels(file: Path, data: object, labels: int) -> np.ndarray:
    """(N, 32, 32, 3) uint8 RGB."""
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape != (labels, 3072) or not labels:
        raise DataError(
            tr(
                "The CIFAR file {file} does not hold one row of 3,072 bytes per label. Unpack the "
                "original archive again.",
                file=file,
            )
        )
    return data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _write_pngs(folder: Path, pixels: np.ndarray) -> list[Path]:
    """One PNG per picture; those that lie there already are kept. Each appears under its name only when whole."""
    paths = [folder / f"{number:05d}.png" for number in range(len(pixels))]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, image in zip(paths, pixels, strict=True):
            if not path.exists():
                part = path.with_suffix(".part")
                part.write_bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())
                part.replace(path)
    except OSError as error:
        raise DataError(
            tr(
                "The CIFAR pictures cannot be written to {folder} ({strerror}). Copy the files to a "
                "folder with write access.",
                folder=folder,
                strerror=error.strerror,
            )
        ) from None
    return paths
