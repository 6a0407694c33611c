"""Who answers: an exported network in a runtime that is installed and proves equal, else torch.

OpenVINO is tried first, then ONNX Runtime, then TorchScript; what is refused is said, and the next is tried. None of
the first two needs torch. On a GPU torch answers.
"""

from __future__ import annotations

import ctypes
import logging
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from protocol.language import tr
from protocol.nearest import nearest
from protocol.strict import ConfigError
from recipe.pictures.preprocessing import Preprocessing
from recipe.serving.averaging import CROPS_PER_PASS, Networks
from recipe.serving.backends import backend_of, names
from recipe.serving.equality import AT_LOAD, PICTURES, UnequalError, prove, reference_pictures
from recipe.serving.exported import Exported, UnusableError, exported_files, key_of, read_exported
from recipe.serving.parallel import Layout, Spread

log = logging.getLogger(__name__)
EXPORTED = names()  # in the order they are tried
RUNTIMES = ("auto", *EXPORTED, "torch")


@dataclass(frozen=True, eq=False)
class Loaded:
    """The folds of a run, loaded."""

    networks: Networks
    how: str  # in words: the runtime with its version, or torch with its device
    crops_per_pass: int = CROPS_PER_PASS


@dataclass(frozen=True)
class Wish:
    """What a user asked for."""

    runtime: str = "auto"
    device: str = "auto"
    demanded: bool = False  # the runtime or none; else torch answers where it cannot

    def __post_init__(self) -> None:
        if self.runtime not in RUNTIMES:
            raise ConfigError(
                tr(
                    "unknown runtime {runtime!r}.{nearest} Known: {runtimes}.",
                    runtime=self.runtime,
                    nearest=nearest(self.runtime, RUNTIMES),
                    runtimes=", ".join(RUNTIMES),
                )
            )


def load(folders: Sequence[Path], weights: str, preprocessing: Preprocessing, views: int, wish: Wish) -> Loaded:
    """The folds of a run, each with its weights file, answering by the best runtime that can.

    Args:
        views: how many each picture is seen in.

    Raises:
        ConfigError: no such device, or the demanded runtime cannot answer.
        CheckpointError: weights are absent or broken.
    """
    if wish.runtime != "torch" and on_cpu(wish.device):
        folds = _Folds(tuple(folders), weights, preprocessing, Layout.of(len(folders) * views))
        if found := _first_that_can(folds, wish):
            return found
    from recipe.serving.torch import load_networks

    return Loaded(*load_networks(folders, weights, preprocessing, wish.device))


def _first_that_can(folds: _Folds, wish: Wish) -> Loaded | None:
    for name in EXPORTED if wish.runtime == "auto" else (wish.runtime,):
        try:
            return folds.by(name)
        except NotExportedError as reason:
            message, level = str(reason), logging.INFO
        except (UnusableError, UnequalError) as reason:
            message, level = str(reason).rstrip("."), logging.WARNING
        if wish.demanded:
            raise ConfigError(tr("runtime {name!r} cannot answer: {message}.", name=name, message=message))
        log.log(
            level if wish.runtime == "auto" else logging.WARNING,
            "%s",
            tr("{name} does not answer: {message}; the next is tried", name=name, message=message),
        )
    return None


class NotExportedError(UnusableError):
    """There is nothing to run, or nothing to run it with: no fault, so it is told only to those who ask."""


@dataclass(frozen=True)
class _Folds:
    """What an exported runtime is to answer for."""

    folders: tuple[Path, ...]
    weights: str
    preprocessing: Preprocessing
    layout: Layout

    def by(self, name: str) -> Loaded:
        """All folds in one runtime, each proven.

        Raises:
            UnusableError: an export or the package is absent, stale or changed.
            UnequalError: the answers differ from those of the network.
        """
        exports = [self._exported(folder) for folder in self.folders]
        fmt = _format(name, exports)
        backend = backend_of(name)
        keys = [key_of(folder, self.weights, self.preprocessing.size) for folder in self.folders]
        files = [
            exported_files(folder, exported, fmt, key)
            for folder, exported, key in zip(self.folders, exports, keys, strict=True)
        ]
        networks = together(backend, [run(backend, paths, self.layout) for paths in files], self.layout)
        how = f"{backend.version()}, {fmt}"
        self._prove(networks, exports, how)
        return Loaded(networks, how)

    def _exported(self, folder: Path) -> Exported:
        if (exported := read_exported(folder)) is None:
            raise NotExportedError(tr("the run is not exported"))
        return exported

    def _prove(self, networks: Networks, exports: Sequence[Exported], how: str) -> None:
        """What passed all reference pictures when the export was made sees two of them again, others all."""
        count = AT_LOAD if all(how in exported.proven for exported in exports) else PICTURES
        answers = answered(networks, reference_pictures(self.preprocessing.size, count), how)
        for folder, probs, exported in zip(self.folders, answers, exports, strict=True):
            try:
                prove(probs, exported.expected[:count])
            except UnequalError as error:
                raise UnequalError(
                    tr("{how} answers otherwise than {name}: {error}", how=how, name=folder.name, error=error)
                ) from None


def _format(name: str, exports: Sequence[Exported]) -> str:
    """The first format of a runtime that every fold was exported to."""
    for fmt in backend_of(name).FORMATS:
        if all(fmt in exported.files for exported in exports):
            return fmt
    raise NotExportedError(
        tr("the run is not exported to {formats}", formats=tr(" or ").join(backend_of(name).FORMATS))
    )


def run(backend: Any, files: Sequence[Path], layout: Layout) -> Any:
    """One fold's network in a runtime.

    Raises:
        UnusableError: the package is absent or does not load here, or the file cannot be read.
    """
    try:
        return backend.load(files, layout)
    except ImportError as error:
        raise NotExportedError(tr("its package is not installed ({error}); pip install .[fast]", error=error)) from None
    except Exception as error:  # each runtime has its own errors; whatever it is, another one answers
        raise UnusableError(
            tr(
                "{fold}/{file} does not load: {error}",
                fold=files[0].parent.name,
                file=files[0].name,
                error=str(error).splitlines()[0],
            )
        ) from None


def answered(networks: Any, pictures: np.ndarray, how: str) -> np.ndarray:
    """What networks say of pictures.

    Raises:
        UnusableError: the runtime fails at it.
    """
    try:
        return networks(pictures)
    except Exception as error:  # see `run`
        raise UnusableError(
            tr("{how} fails on the reference pictures: {error}", how=how, error=str(error).splitlines()[0])
        ) from None


def together(backend: Any, networks: Sequence[Any], layout: Layout) -> Networks:
    """Folds as one: spread over the cores, unless the runtime does that by itself."""
    if backend.SPREADS_ITSELF:
        return lambda crops: np.stack([network(crops) for network in networks])
    return Spread(networks, layout)


def on_cpu(device: str) -> bool:
    """Whether the networks run on the CPU; torch is asked only where there might be a GPU.

    Raises:
        ConfigError: no such device here.
    """
    if device == "cpu" or (device == "auto" and not gpu_visible()):
        return True
    from recipe.system.runtime import choose_device

    return choose_device(device).type == "cpu"


def gpu_visible() -> bool:
    """Whether a GPU that torch could use may be there: the CUDA driver finds one, or the machine is an Apple one."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int()
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False
