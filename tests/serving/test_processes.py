"""A Predictor in other processes: inherited by a fork, sent to a pool, shared by threads; beside a run that writes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from test_predict import train_folder

from protocol.errors import UserError
from recipe.pictures.errors import UnreadablePicture
from recipe.runs.lock import alone_in, holder
from recipe.serving.predict import Ensemble
from recipe.system.atomic import CheckpointError

ROOT = Path(__file__).resolve().parents[2]
PICTURE = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)
SECONDS = 240  # far more than any machine needs; a hang ends here


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train_folder(folder)
    return folder


FORKED = """
import multiprocessing, sys
import numpy as np
from recipe.serving.predict import Ensemble
picture = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)
ensemble = Ensemble(sys.argv[1], runtime=sys.argv[2])
before = ensemble.probs([picture] * 3)
def answer(number):
    return ensemble.probs([picture] * 3)
with multiprocessing.get_context("fork").Pool(2) as pool:
    after = pool.map_async(answer, range(2)).get(200)
print(all(np.allclose(each, before, atol=1e-5) for each in after))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_predictor_answers(trained: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORKED, str(trained), "torch"], cwd=ROOT, capture_output=True,
                          text=True, timeout=SECONDS, check=True)  # fmt: skip
    assert done.stdout.split() == ["True"]


def test_a_predictor_travels_as_its_folder_and_settings(trained: Path) -> None:
    ensemble = Ensemble(trained, "cpu", "torch")
    packed = pickle.dumps(ensemble)
    assert len(packed) < 1000
    assert np.array_equal(pickle.loads(packed).probs([PICTURE]), ensemble.probs([PICTURE]))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply_async(ensemble.probs, ([PICTURE],)).get(SECONDS)
    assert np.allclose(there, ensemble.probs([PICTURE]), atol=1e-6)


def test_threads_get_equal_answers(trained: Path) -> None:
    ensemble = Ensemble(trained, "cpu", "torch")
    alone = ensemble.probs([PICTURE])
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(each, alone) for each in pool.map(lambda _: ensemble.probs([PICTURE]), range(8)))


def test_one_picture_is_not_taken_for_many(trained: Path) -> None:
    ensemble = Ensemble(trained, "cpu", "torch")
    arrays = (PICTURE, PICTURE[..., 0], PICTURE.transpose(2, 0, 1), torch.tensor(PICTURE))  # row by row, each "ok"
    files = (BytesIO(b"\xff\xd8"), memoryview(b"\xff\xd8"))
    for one in ("a.jpg", Path("a.jpg"), b"\xff\xd8", Image.fromarray(PICTURE), *arrays, *files):
        for ask in (ensemble.stream, ensemble.probs_of_files):
            with pytest.raises(UserError, match="put it in a list"):
                ask(one)
    for none in (None, 5, pd.DataFrame({"image_path": ["a.jpg"]})):
        with pytest.raises(UserError, match="is no list of pictures"):
            ensemble.probs_of_files(none)
    assert np.array_equal(ensemble.probs_of_files(np.stack([PICTURE] * 2)), ensemble.probs([PICTURE] * 2))
    assert np.array_equal(ensemble.probs_of_files(each for each in [PICTURE]), ensemble.probs([PICTURE]))


def test_what_holds_no_picture_is_refused_by_its_kind(trained: Path, tmp_path: Path) -> None:
    ensemble, closed = Ensemble(trained, "cpu", "torch"), BytesIO(b"\xff\xd8")
    closed.close()
    with open(tmp_path / "new", "wb") as written:
        for wrong, why in (
            (torch.rand(8, 8, 3, requires_grad=True), "Tensor is no array .*detach"),
            ([[1], [1, 2]], "list is no array"),
            (closed, "closed, or not opened for reading"),
            (written, "closed, or not opened for reading"),
            (Image.new("F", (8, 8)), "mode F has no fixed range"),
            (Image.new("I;16", (8, 8)), "give the file instead"),
        ):
            with pytest.raises(UnreadablePicture, match=why):
                ensemble.probs_of_files([wrong])


def test_views_of_memory_and_odd_modes_give_the_same_answer(trained: Path) -> None:
    ensemble = Ensemble(trained, "cpu", "torch")
    half = Image.fromarray(PICTURE).convert("L").convert("LA")
    assert np.array_equal(ensemble.probs([memoryview(PICTURE)]), ensemble.probs([PICTURE]))
    assert np.array_equal(ensemble.probs([half.convert("La")]), ensemble.probs([half]))


def test_an_open_file_is_a_picture(trained: Path) -> None:
    ensemble, file = Ensemble(trained, "cpu", "torch"), BytesIO()
    Image.fromarray(PICTURE).save(file, "PNG")
    assert np.array_equal(ensemble.probs([file]), ensemble.probs([PICTURE]))
    for place in (0, 10):  # a library that looked at the first bytes
        file.seek(place)
        assert np.array_equal(ensemble.probs([file]), ensemble.probs([PICTURE]))


HOLDING = """
import sys, time
from pathlib import Path
from recipe.runs.lock import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_holds_one_run_and_a_dead_one_lets_go(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "model"
    first = subprocess.Popen([sys.executable, "-c", HOLDING, str(folder)], cwd=ROOT, text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    with first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(CheckpointError, match=f"process {first.pid} since"), alone_in(folder):
            pass
        assert str(first.pid) in holder(folder)
        first.kill()
    assert holder(folder) == ""
    with alone_in(folder), alone_in(folder):
        assert holder(folder) == ""  # to itself it is no stranger


def test_a_predictor_says_that_a_run_writes(trained: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr("recipe.serving.predict.holder", lambda folder: "process 7")
    with caplog.at_level(logging.WARNING):
        Ensemble(trained, "cpu", "torch")
    assert "process 7" in caplog.text
