"""Training and answering from Python, in scikit-learn's shape: a notebook needs five lines.

    from recipe.estimator import ImageClassifier
    model = ImageClassifier(minutes=4).fit("pictures")     # a folder per class, a CSV, a DataFrame, or two lists
    print(model.cv_score_, model.classes_)
    model.predict(["new/1.jpg", "new/2.jpg"])

What is trained is a run as main.py trains it, in a folder of its own, with report, resume and the platform's answers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from protocol.columns import IMAGE, LABEL
from protocol.errors import UserError
from protocol.language import tr
from protocol.nearest import nearest
from protocol.picture_paths import pictures_below
from recipe.cli import options
from recipe.config import Config
from recipe.prepare import prepare
from recipe.proposal import PROJECT
from recipe.report.page import write_report
from recipe.runs.folder import read_about, read_scores
from recipe.serving.incoming import refuse_one
from recipe.serving.predict import Ensemble
from recipe.system.atomic import write_bytes
from recipe.system.console import DIARY
from recipe.train import train


class EstimatorError(UserError, ValueError):
    """A setting or pictures that cannot be used; the message says which and what is accepted."""


class ImageClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of pictures that learns with `fit` and answers with `predict`.

    Args:
        run: the run folder; an earlier run in it is moved aside.
        profile: of app.yaml; auto chooses by the hardware.
        image_column: of a CSV or a DataFrame; relative paths begin at the CSV, or where one works.
        label_column: likewise.
        verbose: 0 prints nothing, 1 what a person needs, 2 the rest too.
        settings: any of docs/settings.md, such as `epochs=5`, `minutes=4`, `loss="focal(gamma=2)"`.

    After `fit`: `classes_` (K,) in the order of probabilities and in the type of the labels; `cv_score_`, the score of
    pictures by networks that have not seen them; `n_pictures_`; `run_`, the folder.
    """

    def __init__(
        self, run: str | Path = "data/output/python", profile: str = "auto", image_column: str = IMAGE,
        label_column: str = LABEL, verbose: int = 1, **settings: Any,
    ) -> None:  # fmt: skip
        self.run, self.profile, self.verbose = run, profile, verbose
        self.image_column, self.label_column = image_column, label_column
        self.settings = settings

    @classmethod
    def from_run(cls, run: str | Path, **arguments: Any) -> Self:
        """A fitted classifier from a run folder that main.py or `fit` has written; arguments as of a new one.

        Raises:
            RunError: nothing was trained there.
        """
        made = cls(run, **arguments)
        made._take(Path(run), {})
        return made

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments, settings among them: what `clone` and searches need."""
        own = ("run", "profile", "image_column", "label_column", "verbose")
        return {name: getattr(self, name) for name in own} | self.settings

    def set_params(self, **params: Any) -> Self:
        """Changes arguments or settings."""
        for name, value in params.items():
            if name in ("run", "profile", "image_column", "label_column", "verbose"):
                setattr(self, name, value)
            else:
                self.settings[name] = value
        return self

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803  (scikit-learn's name)
        """Learns from pictures and their labels.

        Args:
            X: a folder with a folder per class, a CSV, a DataFrame with both columns, or a sequence of paths.
            y: (N,) labels of the paths; None where X holds them.

        Raises:
            UserError: a setting, the table or the pictures cannot be used; the sentence says which.
        """
        run = Path(self.run).absolute()
        source, columns, values = self._source(X, y, run)
        words = self._words(source, run, columns)
        with _voice(self.verbose):
            asked = options(PROJECT / "app.yaml", words)
            prepared = prepare(asked, source)
            train(prepared, asked, run)
        self._take(run, values)
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803  (scikit-learn's name)
        """(N,) the classes of pictures: a folder, or a sequence of paths, bytes, arrays or pictures of Pillow's."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803  (scikit-learn's name)
        """(N, K) probabilities in the order of `classes_`; an unreadable picture gets the shares of the classes.

        Raises:
            FileNotFoundError: there is no such file.
        """
        pictures = self._pictures(X)
        with _voice(self.verbose):
            return self._ensemble.probs_of_files(pictures, progress=self.verbose > 0)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:  # noqa: N803  (scikit-learn's name)
        """The share of pictures that are answered rightly; without y, X is a DataFrame with both columns."""
        labels = _column(X, self.label_column) if y is None else y
        return float(super().score(X, labels, sample_weight))

    def report(self) -> Path:
        """Writes the page of the run: how good, where wrong, why."""
        with _voice(self.verbose):
            return write_report(self.run_)

    def _words(self, source: Path, run: Path, columns: tuple[str, str]) -> list[str]:
        """The command line of the same run."""
        for name in self.settings:
            if name not in Config.model_fields:
                raise EstimatorError(
                    tr("there is no setting {name!r}.{nearest}", name=name, nearest=nearest(name, Config.model_fields))
                )
        named = {"data": source, "output": run, "profile": self.profile}
        named |= {"image-column": columns[0], "label-column": columns[1]}
        named |= {name.replace("_", "-"): _text(value) for name, value in self.settings.items()}
        return [*(f"--{name}={value}" for name, value in named.items()), "--no-report"]

    def _source(self, data: Any, y: Any, run: Path) -> tuple[Path, tuple[str, str], dict[str, Any]]:
        """Where the table lies (that of lists and frames is written beside the run), its columns, labels by text."""
        if isinstance(data, (str, Path)):
            if y is not None:
                raise EstimatorError(tr("fit takes labels beside a list of paths, not beside a folder or a CSV."))
            return Path(data).absolute(), (self.image_column, self.label_column), {}
        paths, labels = self._lists(data, y)
        stream = io.StringIO(newline="")
        rows = zip((str(Path(path).absolute()) for path in paths), map(str, labels), strict=True)
        csv.writer(stream).writerows([(IMAGE, LABEL), *rows])
        file = run.with_name(f"{run.name}-train.csv")
        write_bytes(file, stream.getvalue().encode("utf-8"))
        return file, (IMAGE, LABEL), {str(label).strip(): label for label in labels}

    def _lists(self, data: Any, y: Any) -> tuple[Sequence[Any], list[Any]]:
        paths = _many(data, self.image_column)
        labels = _column(data, self.label_column) if y is None else np.asarray(y, object).tolist()
        labels = [label.item() if isinstance(label, np.generic) else label for label in labels]
        if len(paths) != len(labels):
            raise EstimatorError(
                tr(
                    "there are {paths} pictures and {labels} labels; each picture needs one.",
                    paths=len(paths),
                    labels=len(labels),
                )
            )
        wrong = next((path for path in paths if not isinstance(path, (str, Path))), None)
        if wrong is not None:
            kind = type(wrong).__name__
            raise EstimatorError(
                tr("fit takes paths of pictures, not {kind}; save what is in memory to files first.", kind=kind)
            )
        return paths, labels

    def _take(self, run: Path, values: dict[str, Any]) -> None:
        about, totals = read_about(run), read_scores(run)
        self._ensemble = Ensemble(run)
        classes = [values.get(name, value) for name, value in zip(about["classes"], self._ensemble.values, strict=True)]
        self.classes_ = np.array(classes)
        self.cv_score_, self.metric_ = float(totals["oof"]), str(totals["metric"])
        self.run_ = run

    def _pictures(self, data: Any) -> list[Any]:
        if not hasattr(self, "_ensemble"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(
                tr("this classifier has learned nothing yet: call fit, or take ImageClassifier.from_run.")
            )
        if isinstance(data, (str, Path)):
            return pictures_below(Path(data)) if Path(data).is_dir() else [Path(data)]
        return _many(data, self.image_column)


def _many(data: Any, column: str) -> list[Any]:
    """The pictures of a DataFrame or of anything that holds many; one alone is refused."""
    if hasattr(data, "columns"):
        return _column(data, column)
    refuse_one(data)
    return list(data)


def _column(frame: Any, name: str) -> list[Any]:
    if not hasattr(frame, "columns"):
        raise EstimatorError(tr("the labels are missing: give y beside the list of paths."))
    if name not in frame.columns:
        known = ", ".join(map(str, frame.columns))
        raise EstimatorError(
            tr(
                "there is no column {name!r}, but {known}; name it with image_column or label_column.",
                name=name,
                known=known,
            )
        )
    return list(frame[name].tolist())


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def _voice(verbose: int) -> Iterator[None]:
    """How much is said while the block lasts."""
    before = DIARY.details, DIARY.silent
    DIARY.details, DIARY.silent = verbose > 1, verbose < 1
    try:
        yield
    finally:
        DIARY.details, DIARY.silent = before
