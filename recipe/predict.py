"""Prediction: views x folds in as few forward passes as possible, softmax before averaging.

Validation, out-of-fold prediction and the submission's `Predictor` all go through `average_views`: one decoder, one resize rule.
Nothing of training is imported here.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from recipe.checkpoint import load_checkpoint
from recipe.console import Bar
from recipe.decode import UnreadablePicture, read, resize_short
from recipe.description import fold_folders
from recipe.errors import CheckpointError
from recipe.fuse import fold_batch_norm
from recipe.preprocessing import Preprocessing, at_size, short_side
from recipe.runtime import Runtime, choose_device, evaluating
from recipe.serving import HERE, Serving, read_member, read_serving
from recipe.temperature import tempered
from recipe.views import View, build_views

log = logging.getLogger(__name__)
PICTURES_PER_PASS = {"cpu": 32, "cuda": 256, "mps": 64}


@dataclass(frozen=True)
class Answer:
    """What the ensemble says of one picture."""

    label: Any  # in the vocabulary and type of train.csv
    probability: float  # of that label
    probs: np.ndarray  # (K,) float32, sums to 1


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


class Member:
    """The folds of one run with the views, the size and the weights that they answer with.

    Args:
        folder: a run folder, which holds `fold0`, `fold1` and so on.
        serving: how it answers.
        device: where the networks run.

    Raises:
        CheckpointError: nothing was trained there, or folds belong to different runs.
    """

    def __init__(self, folder: Path, serving: Serving, device: torch.device) -> None:
        loaded = [load_checkpoint(path, weights=serving.weights_file) for path in fold_folders(folder)]
        first, *others = descriptions = [description for _, description in loaded]
        if any(d.values != first.values or d.preprocessing != first.preprocessing for d in others):
            raise CheckpointError(
                f"the folds in {folder} belong to different runs (classes or sizes differ); train again or remove the foreign ones."
            )
        self.values, self.preprocessing = first.values, at_size(first.preprocessing, serving.test_size)
        self.prior = np.mean([description.prior for description in descriptions], axis=0, dtype=np.float32)
        self.views = build_views(serving.views or first.config.views, self.preprocessing.size)
        self.models = [for_prediction(model, self.preprocessing.size, device) for model, _ in loaded]

    def probs(self, pictures: Iterable[np.ndarray], runtime: Runtime) -> np.ndarray:
        """Class probabilities (N,K) float32 of decoded pictures with the short side that `short_side` names."""
        return np.stack(list(average_views(self.models, pictures, self.views, self.preprocessing, runtime)))


def for_prediction(model: nn.Module, size: int, device: torch.device) -> nn.Module:
    """A network on `device` in the form that answers fastest; folded on the CPU, where the comparison is exact."""
    return fold_batch_norm(model, size).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


class Ensemble:
    """A run, and the runs that `ensemble.json` joins to it, ready to answer.

    Args:
        folder: the run folder (MODEL_PATH).
        device: auto, cpu, cuda or mps, whatever the training ran on.

    Raises:
        CheckpointError: nothing was trained there, or folds or members belong to different classes.
        ConfigError: ensemble.json holds an unknown key or a refused value.
    """

    def __init__(self, folder: Path | str, device: str = "auto") -> None:
        folder = Path(folder)
        self.runtime = Runtime(choose_device(device), memory_format=torch.channels_last)
        self.serving = read_serving(folder)
        self.members, self.weights = self._members(folder)
        self.values = self.members[0].values
        if strange := [w.run for w, m in zip(self.serving.members, self.members, strict=False) if m.values != self.values]:
            raise CheckpointError(f"{strange[0]} in {folder} was trained for other classes than {self.serving.members[0].run}; remove one.")
        self.prior = np.average([member.prior for member in self.members], axis=0, weights=self.weights).astype(np.float32)
        self.unreadable: list[str] = []

    def _members(self, folder: Path) -> tuple[list[Member], list[float]]:
        """The runs that answer and their shares."""
        if not self.serving.members:
            return [Member(folder, self.serving, self.runtime.device)], [1.0]
        servings = [self.serving if item.run == HERE else read_member(folder / item.run) for item in self.serving.members]
        made = [Member(folder / item.run, how, self.runtime.device) for item, how in zip(self.serving.members, servings, strict=True)]
        return made, [item.weight for item in self.serving.members]

    @property
    def models(self) -> list[nn.Module]:
        """Every network that answers."""
        return [model for member in self.members for model in member.models]

    def probs(self, paths: Sequence[Path | str], done: Callable[[int], None] = lambda count: None) -> np.ndarray:
        """Class probabilities (N,K) float32. An unreadable picture gets the class prior and is named in the log and in `unreadable`.

        Args:
            paths: picture files.
            done: called with the number of pictures finished since its last call.
        """
        answers = np.tile(self.prior, (len(paths), 1))
        counted = 0
        for positions, pictures in self._decoded(paths):
            answers[positions] = self._answer(pictures)
            done(positions[-1] + 1 - counted)
            counted = positions[-1] + 1
        done(len(paths) - counted)
        return answers

    def _answer(self, pictures: Sequence[tuple[np.ndarray, ...]]) -> np.ndarray:
        """(n,K) for pictures that are decoded, each at the size of every member."""
        probs = [member.probs(resized, self.runtime) for member, resized in zip(self.members, zip(*pictures, strict=True), strict=True)]
        together = probs[0] if len(probs) == 1 else np.average(probs, axis=0, weights=self.weights).astype(np.float32)
        return tempered(together, self.serving.temperature)

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

    def _decoded(self, paths: Sequence[Path | str]) -> Iterator[tuple[list[int], list[tuple[np.ndarray, ...]]]]:
        """Positions and pictures of the readable files, as many at a time as go through the networks at once."""
        per_pass = max(1, PICTURES_PER_PASS[self.runtime.device.type] // max(len(member.views) for member in self.members))
        with ThreadPoolExecutor(2, thread_name_prefix="decode") as pool:
            readable = self._readable(paths, ahead(pool, self._decode, paths))
            while chunk := list(itertools.islice(readable, per_pass)):
                yield [position for position, _ in chunk], [resized for _, resized in chunk]

    def _readable(self, paths: Sequence[Path | str], decoded: Iterable[Any]) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
        for position, resized in enumerate(decoded):
            if isinstance(resized, Exception):
                self.unreadable.append(str(paths[position]))
                log.warning("%s; it gets the class prior", str(resized).rstrip("."))
            else:
                yield position, resized

    def _decode(self, path: Path | str) -> tuple[np.ndarray, ...] | Exception:
        """The picture at the short side of each member."""
        try:
            image = read(Path(path))
        except (UnreadablePicture, OSError) as error:  # one bad path never ends an evaluation
            return error
        return tuple(resize_short(image, short_side(member.preprocessing)) for member in self.members)

    def answers(self, probs: np.ndarray) -> list[Answer]:
        """Answers from probabilities (N,K)."""
        best = probs.argmax(axis=1)
        return [Answer(self.values[label], float(row[label]), row) for label, row in zip(best, probs, strict=True)]


def ahead(pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Iterable[Any], count: int = 64) -> Iterator[Any]:
    """Results in order, with `count` items being worked on while the caller uses the last one."""
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > count:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
