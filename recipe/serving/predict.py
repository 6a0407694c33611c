"""Answers of a trained run: pictures are decoded ahead, seen in every view by every fold, and averaged after softmax.

    for answer in Ensemble("data/output/model").stream(paths): print(answer.path, answer.label, answer.status)

No torch is imported here: recipe/serving/runtimes.py chooses who answers. Nothing of training is imported at all.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from protocol.errors import UserError
from protocol.language import tr
from recipe.pictures import fork_safe
from recipe.pictures.anything import name_of, pixels
from recipe.pictures.decode import resize_short
from recipe.pictures.errors import UnreadablePicture
from recipe.pictures.preprocessing import short_side
from recipe.runs.ensemble import HERE, read_answering, read_member
from recipe.runs.lock import holder
from recipe.serving.answer import Answer
from recipe.serving.averaging import tempered
from recipe.serving.incoming import ahead, must_exist, refuse_one
from recipe.serving.member import Member
from recipe.serving.runtimes import Wish
from recipe.system.atomic import CheckpointError

log = logging.getLogger(__name__)
DECODERS = 2  # threads

fork_safe.one_thread_in_children()
_loading = fork_safe.lock()
_inherited: list[dict[str, Any]] = []  # of a parent process: see `Ensemble._in_this_process`

Resized = tuple[np.ndarray, ...]  # a picture at the short side of each member


class Ensemble:
    """A run, and the runs that `ensemble.json` joins to it, ready to answer.

    Args:
        folder: the run folder (MODEL_PATH).
        device: auto, cpu, cuda, cuda:N or mps, whatever the training ran on.
        runtime: auto, openvino, onnxruntime, torchscript or torch; empty takes what ensemble.json names. A runtime that
            is named here answers or is refused with the reason; one that ensemble.json names gives way to torch, with a
            warning.

    Raises:
        CheckpointError: nothing was trained there, or folds or members belong to different classes.
        ConfigError: ensemble.json holds an unknown key or a refused value, or the device or runtime is not to be had.
    """

    def __init__(self, folder: Path | str, device: str = "auto", runtime: str = "") -> None:
        folder = Path(folder).absolute()
        self._asked, self._process = (folder, device, runtime), os.getpid()
        if writing := holder(folder):
            said = tr("a run is writing into {folder} ({who}): the folds that it has finished so far answer",
                      folder=folder, who=writing)  # fmt: skip
            log.warning("%s", said)
        self.serving = read_answering(folder)
        wish = Wish(runtime or self.serving.runtime, device, demanded=runtime not in ("", "auto"))
        self.members, self.weights = self._members(folder, wish)
        self.temperatures = [item.temperature for item in self.serving.members] or [1.0]
        self.values = self.members[0].values
        if strange := [
            w.run for w, m in zip(self.serving.members, self.members, strict=False) if m.values != self.values
        ]:
            raise CheckpointError(
                tr(
                    "{strange} in {folder} was trained for other classes than {run}; remove one.",
                    strange=strange[0],
                    folder=folder,
                    run=self.serving.members[0].run,
                )
            )
        self.prior = np.average([member.prior for member in self.members], axis=0, weights=self.weights).astype(
            np.float32
        )
        self.unreadable: list[str] = []

    def __reduce__(self) -> tuple[Any, ...]:
        """It travels to another process as its folder and settings, and is loaded anew there."""
        return Ensemble, self._asked

    def _in_this_process(self) -> None:
        """Loads the run anew in a process that was forked: the threads of a network stay behind in the parent.

        What was inherited is kept, since to end it would wait for these threads.

        Raises:
            CheckpointError: the run's folder is not as it was, or its device cannot be had in a forked process.
        """
        with _loading:
            if self._process == os.getpid():
                return
            _inherited.append(self.__dict__.copy())
            try:
                self.__init__(*self._asked)  # type: ignore[misc]
            except (UserError, OSError, RuntimeError) as error:  # RuntimeError: CUDA
                raise CheckpointError(
                    tr(
                        "the predictor was loaded in process {process} and cannot be loaded anew in the forked "
                        "process {getpid} ({error}). Load it in each worker, or start workers by spawn.",
                        process=self._process,
                        getpid=os.getpid(),
                        error=error,
                    )
                ) from error

    def _members(self, folder: Path, wish: Wish) -> tuple[list[Member], list[float]]:
        """The runs that answer and their shares."""
        if not self.serving.members:
            return [Member(folder, self.serving, wish)], [1.0]
        servings = [
            self.serving if item.run == HERE else read_member(folder / item.run) for item in self.serving.members
        ]
        made = [Member(folder / item.run, how, wish) for item, how in zip(self.serving.members, servings, strict=True)]
        return made, [item.weight for item in self.serving.members]

    @property
    def how(self) -> str:
        """What answers, in words: the runtime with its version, or torch with its device."""
        return "; ".join(dict.fromkeys(member.answering.how for member in self.members))

    def stream(self, paths: Iterable[Any]) -> Iterator[Answer]:
        """An answer for each picture, in order, while later ones are decoded; memory does not grow with their number.
        A picture is a path, or what recipe/pictures/anything.py takes: bytes, an array, a picture of Pillow's.

        A picture that cannot be read gets the class prior, a warning that names it, and `status` "unreadable" with the
        reason.

        Raises:
            UserError: one picture in place of many; a forked process in which the run cannot be loaded anew.
        """
        refuse_one(paths)
        self._in_this_process()
        return self._stream(paths)

    def _stream(self, paths: Iterable[Any]) -> Iterator[Answer]:
        with ThreadPoolExecutor(DECODERS, thread_name_prefix="decode") as pool:
            decoded = ahead(pool, self._decode, paths)
            while chunk := list(itertools.islice(decoded, self._per_pass)):
                yield from self._answers(chunk)

    @property
    def _per_pass(self) -> int:
        """Pictures whose views go through the networks at once."""
        return max(1, min(member.answering.crops_per_pass // len(member.views) for member in self.members))

    def _answers(self, chunk: Sequence[tuple[str, Resized | Exception]]) -> Iterator[Answer]:
        readable = [resized for _, resized in chunk if not isinstance(resized, Exception)]
        probs = iter(self._probs(readable) if readable else ())
        for path, resized in chunk:
            if isinstance(resized, Exception):
                log.warning("%s", tr("{reason}; it gets the class prior", reason=str(resized).rstrip(".")))
                yield self._answer(self.prior, path, getattr(resized, "reason", "") or str(resized) or repr(resized))
            else:
                yield self._answer(next(probs), path)

    def _probs(self, pictures: Sequence[Resized]) -> np.ndarray:
        """(n,K) for pictures that are decoded, each at the size of every member."""
        probs = [
            tempered(member.probs(resized), temperature)
            for member, resized, temperature in zip(
                self.members, zip(*pictures, strict=True), self.temperatures, strict=True
            )
        ]
        together = probs[0] if len(probs) == 1 else np.average(probs, axis=0, weights=self.weights).astype(np.float32)
        if not np.isfinite(together).all():
            raise CheckpointError(
                tr("the networks in {asked} answer with NaN: their weights are damaged.", asked=self._asked[0])
            )
        return tempered(together, self.serving.temperature)

    def _answer(self, probs: np.ndarray, path: str = "", reason: str = "") -> Answer:
        best = int(probs.argmax())
        return Answer(self.values[best], float(probs[best]), probs, path, reason)

    def probs(self, paths: Sequence[Any], done: Callable[[int], None] = lambda count: None) -> np.ndarray:
        """Class probabilities (N,K) float32; for an unreadable picture the prior, named in log and `unreadable`.

        Args:
            paths: picture files.
            done: called with the number of pictures finished since its last call.
        """
        rows = np.empty((len(paths), len(self.values)), np.float32)
        for row, answer in enumerate(self.stream(paths)):
            rows[row] = answer.probs
            self.unreadable += [answer.path] if answer.reason else []
            done(1)
        return rows

    def probs_of_files(self, paths: Iterable[Any], progress: bool = False) -> np.ndarray:
        """As `probs`, for files that must exist, with a progress bar where asked.

        Raises:
            FileNotFoundError: names the first file that does not exist.
            UserError: one picture in place of many.
        """
        refuse_one(paths)
        paths = list(paths)
        for path in paths:
            must_exist(path)
        if not progress:
            return self.probs(paths)
        from recipe.system.console import Bar

        with Bar(len(paths), "picture", "predicting") as bar:
            return self.probs(paths, bar.advance)

    def _decode(self, picture: Any) -> tuple[str, Resized | Exception]:
        """The picture at the short side of each member, or what is wrong with it."""
        try:
            sides = [short_side(member.preprocessing) for member in self.members]
            image = pixels(picture, max(sides))
            return name_of(picture), tuple(resize_short(image, side) for side in sides)
        except (
            UnreadablePicture,
            OSError,
            ValueError,
            TypeError,
            MemoryError,
        ) as error:  # one bad path never ends an evaluation
            return name_of(picture), error

    def answers(self, probs: np.ndarray) -> list[Answer]:
        """Answers from probabilities (N,K)."""
        return [self._answer(row) for row in probs]
