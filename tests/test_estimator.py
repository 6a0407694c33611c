"""Training and answering from Python: scikit-learn's shape, and the cells of the notebook."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from protocol.errors import UserError
from protocol.strict import ConfigError
from recipe.estimator import EstimatorError, ImageClassifier

ROOT = Path(__file__).resolve().parent.parent
TINY = {
    "backbone": "test_efficientnet", "pretrained": False, "image_size": 32, "test_size": 32, "epochs": 1,
    "batch_size": 8, "folds": 2, "memory_format": "contiguous", "augment": ["hflip()"], "views": "identity()",
    "export": "none", "head_init": "random", "profile": "cpu",
}  # fmt: skip


def frame(competition: Path) -> pd.DataFrame:
    table = pd.read_csv(competition / "train.csv")
    paths = [str(competition / path) for path in table["image_path"]]
    return pd.DataFrame({"图片": paths, "类别": [("007", "红", "b c")[label] for label in table["label"]]})


def test_a_frame_with_chinese_columns_is_learned_and_answered(competition, tmp_path, capsys):
    """The labels come back as they were given: "007" stays a word."""
    table = frame(competition)
    model = ImageClassifier(tmp_path / "run", image_column="图片", label_column="类别", **TINY)
    assert model.fit(table) is model
    said = capsys.readouterr()
    assert "pictures 36 of 3 classes" in said.out
    assert "BatchNorm" not in said.out
    assert sorted(model.classes_) == ["007", "b c", "红"]
    assert 0 <= model.cv_score_ <= 1
    probs = model.predict_proba(table["图片"][:4])
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-5)
    answers = model.predict(table[:4])
    assert set(answers) <= {"007", "b c", "红"}
    assert (model.classes_[probs.argmax(1)] == answers).all()
    in_memory = cv2.cvtColor(cv2.imread(table["图片"][0]), cv2.COLOR_BGR2RGB)
    assert model.predict([in_memory])[0] == answers[0]
    assert model.score(table) == pytest.approx((model.predict(table) == table["类别"]).mean())
    assert model.report().name == "report.html"

    again = ImageClassifier.from_run(model.run_, image_column="图片", verbose=0)
    np.testing.assert_array_equal(again.predict_proba(table[:4]), probs)


def test_lists_and_a_folder_are_as_good(competition, tmp_path, capsys):
    table = pd.read_csv(competition / "train.csv")
    paths = [competition / path for path in table["image_path"]]
    model = ImageClassifier(tmp_path / "run", verbose=0, **TINY).fit(paths, table["label"].to_numpy())
    said = capsys.readouterr()
    assert said.out == said.err == ""
    assert model.classes_.dtype.kind == "i"
    for label in (0, 1):
        (tmp_path / "own" / f"类 {label}").mkdir(parents=True)
        for path in [path for path, own in zip(paths, table["label"], strict=True) if own == label]:
            shutil.copy(path, tmp_path / "own" / f"类 {label}")
    model = ImageClassifier(tmp_path / "run", verbose=0, **TINY).fit(str(tmp_path / "own"))
    assert list(model.classes_) == ["类 0", "类 1"]
    assert len(model.predict(tmp_path / "own")) == 24
    assert len(list(tmp_path.glob("run-*"))) == 2  # the earlier run, moved aside, and the table of its lists


def test_it_is_an_estimator_of_scikit_learn(tmp_path):
    model = ImageClassifier(tmp_path, epochs=3, loss="focal(gamma=2)")
    copy = clone(model).set_params(epochs=4, verbose=0)
    assert copy.get_params() == model.get_params() | {"epochs": 4, "verbose": 0}
    assert "epochs=3" in repr(model)
    with pytest.raises(NotFittedError, match="call fit"):
        model.predict(["a.jpg"])


@pytest.mark.parametrize(("settings", "data", "words"), [
    ({"epoch": 3}, (["a.png"], [1]), "Did you mean 'epochs'"),
    ({"epochs": "many"}, (["a.png"], [1]), "epochs"),
    ({"loss": "crossentropy"}, (["a.png"], [1]), "unknown loss"),
    ({}, (["a.png", "b.png"], [1]), "2 pictures and 1 labels"),
    ({}, ([np.zeros((4, 4, 3))], [1]), "not ndarray; save"),
    ({}, (["a.png"], None), "give y"),
    ({}, (None, [1]), "NoneType is no list of pictures"),
    ({}, (np.zeros((4, 4, 3), np.uint8), [1, 2, 3, 4]), "put it in a list"),
    ({}, ("folder", [1]), "not beside a folder"),
    ({}, ("no such folder", None), "no such folder"),
    ({}, (pd.DataFrame({"image_path": ["a"], "class": [1]}), None), "there is no column 'label'"),
])  # fmt: skip
def test_what_cannot_be_learned_is_said_in_a_sentence(tmp_path, settings, data, words):
    with pytest.raises(UserError, match=words) as refusal:
        ImageClassifier(tmp_path / "run", profile="cpu", **settings).fit(*data)
    assert isinstance(refusal.value, (EstimatorError, ConfigError, UserError))


def cells() -> list[str]:
    notebook = json.loads((ROOT / "examples" / "notebook.ipynb").read_text("utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_cells_of_the_notebook_run(competition, tmp_path, monkeypatch, capsys):
    """All but the first as they stand; the first names the pictures and the minutes."""
    table = frame(competition)
    for path, label in zip(table["图片"], table["类别"], strict=True):
        (tmp_path / "pictures" / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "pictures" / label)
    monkeypatch.chdir(tmp_path)
    first, *others = cells()
    assert 'PICTURES = "pictures"' in first
    assert 'SETTINGS = {"minutes": 4}' in first
    names: dict[str, object] = {}
    exec(first.replace('{"minutes": 4}', repr(TINY)), names)
    for cell in others:
        exec(cell, names)
    assert "36" in capsys.readouterr().out
