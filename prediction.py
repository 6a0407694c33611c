"""Answers for pictures: the class in the vocabulary and type of train.csv.

from prediction import Predictor
Predictor().predict("mushroom.jpg")
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from path import MODEL_PATH  # first: it makes `flyai` importable

from flyai.framework import FlyAI

from recipe.predict import Ensemble

logging.basicConfig(format="%(levelname)s: %(message)s")


class Predictor:
    """The trained folds with test-time augmentation.

    Args:
        folder: the run folder; the project's own MODEL_PATH by default, whatever the working directory.
        device: auto, cpu, cuda, cuda:N or mps, whatever the training ran on.
    """

    def __init__(self, folder: str | Path = MODEL_PATH, device: str = "auto") -> None:
        self.ensemble = Ensemble(folder, device)

    def predict(self, image_path: str | Path) -> Any:
        """The class of one picture; an int label stays an int. An unreadable picture gets the most frequent class, and a warning.

        Raises:
            FileNotFoundError: there is no such file.
        """
        return self.ensemble.answers(self.predict_proba([image_path]))[0].label

    def predict_proba(self, paths: Sequence[str | Path], progress: bool = False):
        """(N, K) float32 class probabilities; the classes are `classes`, in this order.

        Raises:
            FileNotFoundError: a file does not exist.
        """
        return self.ensemble.probs_of_files(paths, progress)

    def predict_many(self, paths: Sequence[str | Path], progress: bool = True) -> list[Any]:
        """The classes of many pictures, in order, with a progress bar."""
        return [answer.label for answer in self.ensemble.answers(self.predict_proba(paths, progress))]

    @property
    def classes(self) -> tuple[Any, ...]:
        """The labels of train.csv, in the order of the probabilities."""
        return self.ensemble.values


class Prediction(FlyAI):
    """What the platform calls: `load_model()` once, then `predict(**row)` for each row."""

    def load_model(self) -> None:
        """Loads the fold checkpoints."""
        self.predictor = Predictor()

    def predict(self, image_path: str = "", **row: Any) -> dict[str, Any]:
        """`{"label": class}`. Any path that cannot be read gets the most frequent class: one bad picture never ends an evaluation."""
        ensemble = self.predictor.ensemble
        path = image_path or next(iter(row.values()))
        return {"label": ensemble.answers(ensemble.probs([path]))[0].label}
