"""Prediction: views x folds in as few forward passes as possible, softmax before averaging.

Validation, out-of-fold prediction and the submission's `Predictor` all go through `average_views`: one decoder, one resize rule.
Nothing of training is imported here.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from recipe.checkpoint import CheckpointError, fold_folders, load_checkpoint
from recipe.console import Bar
from recipe.decode import UnreadablePicture, read, resize_short
from recipe.models import Preprocessing
from recipe.runtime import Runtime, choose_device, evaluating
from recipe.views import View, build_views

log = logging.getLogger(__name__)
PICTURES_PER_PASS = {"cpu": 32, "cuda": 256, "mps": 64}


@dataclass(frozen=True)
class Answer:
    """What the ensemble says of one picture."""

    label: Any  # in the vocabulary and type of train.csv
    probability: float  # of that label
    probs: np.ndarray  # (K,) float32, sums to 1


def short_side(preprocessing: Preprocessing) -> int:
    """Pixels of a decoded picture's short side before the crop."""
    return round(preprocessing.size / preprocessing.crop_pct)


Forward = Callable[[torch.Tensor], torch.Tensor]


def run_views(
    forwards: Sequence[Forward], pictures: Iterable[np.ndarray], views: Sequence[View], preprocessing: Preprocessing, runtime: Runtime
) -> Iterator[np.ndarray]:
    """What each of F forward functions says of each of V views, (F,V,D) float32 per picture, in order.

    Args:
        pictures: decoded pictures (h,w,3) uint8 with the short side that `short_side` names.
    """
    per_pass = max(1, PICTURES_PER_PASS[runtime.device.type] // len(views))
    stream = iter(pictures)
    while chunk := list(itertools.islice(stream, per_pass)):
        crops = np.stack([view(picture) for picture in chunk for view in views])
        images = torch.from_numpy(crops).to(runtime.device).permute(0, 3, 1, 2).contiguous(memory_format=runtime.memory_format)
        outputs = torch.stack([forward(preprocessing.normalise(images)) for forward in forwards]).cpu().numpy()
        yield from outputs.reshape(len(forwards), len(chunk), len(views), -1).swapaxes(0, 1)


def average_views(
    models: Sequence[nn.Module], pictures: Iterable[np.ndarray], views: Sequence[View], preprocessing: Preprocessing, runtime: Runtime
) -> Iterator[np.ndarray]:
    """Class probabilities (K,) float32 of each picture: softmax, then mean over views, then over models."""
    forwards = [_softmax(model, runtime) for model in models]
    for probs in run_views(forwards, pictures, views, preprocessing, runtime):
        yield probs.mean(axis=1).mean(axis=0)


def _softmax(model: nn.Module, runtime: Runtime) -> Forward:
    def forward(images: torch.Tensor) -> torch.Tensor:
        with evaluating(model), runtime.autocast():
            return model(images).float().softmax(dim=1)

    return forward


def chosen_views(folder: Path) -> str:
    """The views that out-of-fold predictions decided for; empty where the run has not come to that."""
    path = folder / "ensemble.json"
    return str(json.loads(path.read_text(encoding="utf-8"))["views"]) if path.exists() else ""


class Ensemble:
    """The fold checkpoints of a run, ready to answer.

    Args:
        folder: the run folder (MODEL_PATH), which holds `fold0`, `fold1` and so on.
        device: auto, cpu, cuda or mps, whatever the training ran on.

    Raises:
        CheckpointError: nothing was trained there, or folds belong to different runs.
    """

    def __init__(self, folder: Path | str, device: str = "auto") -> None:
        loaded = [load_checkpoint(path, choose_device(device)) for path in fold_folders(Path(folder))]
        self.models = [model for model, _ in loaded]
        descriptions = [description for _, description in loaded]
        self.values, self.preprocessing = descriptions[0].values, descriptions[0].preprocessing
        if any(d.values != self.values or d.preprocessing != self.preprocessing for d in descriptions):
            raise CheckpointError(
                f"the folds in {folder} belong to different runs (classes or sizes differ); train again or remove the foreign ones."
            )
        self.prior = np.mean([description.prior for description in descriptions], axis=0, dtype=np.float32)
        self.views = build_views(chosen_views(Path(folder)) or descriptions[0].config.views, self.preprocessing.size)
        self.runtime = Runtime(choose_device(device), memory_format=torch.channels_last)
        for model in self.models:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.unreadable: list[str] = []

    def probs(self, paths: Sequence[Path | str], done: Callable[[int], None] = lambda count: None) -> np.ndarray:
        """Class probabilities (N,K) float32. An unreadable picture gets the class prior and is named in the log and in `unreadable`.

        Args:
            paths: picture files.
            done: called with the number of pictures finished since its last call.
        """
        answers = np.tile(self.prior, (len(paths), 1))
        readable: list[int] = []
        pictures = self._decoded(paths, readable)
        for position, probs in enumerate(average_views(self.models, pictures, self.views, self.preprocessing, self.runtime)):
            answers[readable[position]] = probs
            done(1)
        done(len(paths) - len(readable))
        return answers

    def probs_of_files(self, paths: Sequence[Path | str], progress: bool = False) -> np.ndarray:
        """As `probs`, for files that must exist, with a progress bar where asked.

        Raises:
            FileNotFoundError: names the first file that does not exist.
        """
        for path in paths:
            if not Path(path).is_file():
                raise FileNotFoundError(f"there is no picture {str(path)!r} (working directory {Path.cwd()}); check the path.")
        with Bar(len(paths) if progress else 0, "picture", "predicting", shown=progress) as bar:
            return self.probs(paths, bar.advance)

    def _decoded(self, paths: Sequence[Path | str], readable: list[int]) -> Iterator[np.ndarray]:
        """Decoded pictures in order, made ahead by threads; `readable` receives the position of each as it is yielded."""
        with ThreadPoolExecutor(2, thread_name_prefix="decode") as pool:
            for start in range(0, len(paths), 64):
                for position, picture in enumerate(pool.map(self._decode, paths[start : start + 64]), start):
                    if isinstance(picture, Exception):
                        self.unreadable.append(str(paths[position]))
                        log.warning("%s; it gets the class prior", picture)
                        continue
                    readable.append(position)
                    yield picture

    def _decode(self, path: Path | str) -> np.ndarray | Exception:
        try:
            return resize_short(read(Path(path)), short_side(self.preprocessing))
        except (UnreadablePicture, OSError) as error:  # one bad path never ends an evaluation
            return error

    def answers(self, probs: np.ndarray) -> list[Answer]:
        """Answers from probabilities (N,K)."""
        best = probs.argmax(axis=1)
        return [Answer(self.values[label], float(row[label]), row) for label, row in zip(best, probs, strict=True)]
