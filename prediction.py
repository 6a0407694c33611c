"""Answers for pictures: the class in the vocabulary and type of train.csv.

from prediction import Predictor
Predictor().predict("mushroom.jpg")
"""

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from path import MODEL_PATH  # first: it makes `flyai` importable

from flyai.framework import FlyAI

from recipe.serving.answer import Answer
from recipe.serving.incoming import must_exist
from recipe.serving.predict import Ensemble

logging.basicConfig(format="%(levelname)s: %(message)s")


class Predictor:
    """The trained folds with test-time augmentation.

    Args:
        folder: the run folder; the project's own MODEL_PATH by default, whatever the working directory.
        device: auto, cpu, cuda, cuda:N or mps, whatever the training ran on.
        runtime: auto, openvino, onnxruntime, torchscript or torch; empty takes what ensemble.json names.
            `python -m recipe export` makes a run answer without torch.
    """

    def __init__(self, folder: str | Path = MODEL_PATH, device: str = "auto", runtime: str = "") -> None:
        self.ensemble = Ensemble(folder, device, runtime)

    def predict(self, image_path: Any) -> Any:
        """The class of one picture: a path, the bytes of a file, an open file, an array (h, w, 3) of uint8 in
        RGB, or a picture of Pillow's. An int label stays an int. An unreadable picture gets the most frequent class,
        and a warning.

        Raises:
            FileNotFoundError: there is no such file.
        """
        must_exist(image_path)
        return next(self.predict_many([image_path])).label

    def predict_proba(self, paths: Iterable[Any], progress: bool = False):
        """(N, K) float32 class probabilities; the classes are `classes`, in this order.

        Raises:
            FileNotFoundError: a file does not exist.
        """
        return self.ensemble.probs_of_files(paths, progress)

    def predict_many(self, paths: Iterable[Any]) -> Iterator[Answer]:
        """An answer for each of any number of pictures, named or in memory, in order, while later ones are decoded.

        An answer holds `label`, `probability`, `probs`, `path`, and `status`: "ok", or "unreadable" with the `reason`;
        then it is the class prior. A file that does not exist is unreadable too: it may have vanished since it was
        listed.
        """
        return self.ensemble.stream(paths)

    @property
    def classes(self) -> tuple[Any, ...]:
        """The labels of train.csv, in the order of the probabilities."""
        return self.ensemble.values


class Prediction(FlyAI):
    """What the platform calls: `load_model()` once, then `predict(**row)` for each row."""

    def load_model(self) -> None:
        """Loads the folds."""
        self.predictor = Predictor()

    def predict(self, image_path: str = "", **row: Any) -> dict[str, Any]:
        """`{"label": class}`; the most frequent class for a picture that cannot be read, so no evaluation ends."""
        columns = [image_path, *row.values()]
        files = (each for each in columns if isinstance(each, str) and os.path.isfile(each))  # noqa: PTH113  (Path.is_file raises for a name too long)
        path = next(files, image_path or next(iter(row.values()), ""))
        return {"label": next(self.predictor.predict_many([path])).label}
