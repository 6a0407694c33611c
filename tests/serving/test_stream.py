"""Many pictures, and bad ones: in order, in bounded memory, each with a status, and none with another one's answer."""

from __future__ import annotations

import gc
import os
import socket
import struct
import sys
import threading
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_predict import picture, train_folder

import recipe.pictures.anything
import recipe.serving.predict
from prediction import Prediction, Predictor
from recipe.pictures.decode import read
from recipe.serving.answer import Answer
from recipe.serving.incoming import DECODED_AHEAD, ahead
from recipe.serving.predict import Ensemble

PRIOR = [0.2, 0.5, 0.3]  # of train_folder


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("run")
    train_folder(folder)
    return Predictor(folder, device="cpu")


def enormous(path: Path) -> Path:
    """A PNG of a few bytes that claims 100,000 x 100,000 pixels."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    path.write_bytes(head + struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND")))
    return path


def truncated(path: Path) -> Path:
    content = picture(path, 99).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def made(path: Path, make: str) -> Path:
    """A bad picture of some kind at that path."""
    if make == "pipe":
        os.mkfifo(path)
    elif make == "socket":
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(str(path))
        bound.close()
    elif make == "folder":
        path.mkdir()
    elif make == "text":
        path.write_text("no picture", encoding="utf-8")
    elif make == "empty":
        path.touch()
    elif make in ("truncated", "enormous"):
        {"truncated": truncated, "enormous": enormous}[make](path)
    return path  # "vanished": nothing lies there


KINDS = ["truncated", "empty", "text", "folder", "vanished", "enormous"]
KINDS += [
    pytest.param(kind, marks=pytest.mark.skipif(sys.platform == "win32", reason="a Unix file type"))
    for kind in ("pipe", "socket")
]


@pytest.mark.timeout(60)  # a pipe that is opened waits for ever
@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_picture_gets_the_prior_a_warning_and_a_status(predictor, tmp_path, caplog, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path may have 108 bytes
    bad = made(Path("bad.png"), kind)
    good = [picture(tmp_path / f"{n}.png", n) for n in range(3)]
    alone = [next(predictor.predict_many([path])) for path in good]
    answers = list(predictor.predict_many([good[0], bad, good[1], good[2]]))
    assert [answer.status for answer in answers] == ["ok", "unreadable", "ok", "ok"]
    assert answers[1].label == 3 and np.allclose(answers[1].probs, PRIOR)
    assert answers[1].reason and answers[1].path == "bad.png"
    assert "bad.png" in caplog.text and "class prior" in caplog.text
    for answer, expected in zip([answers[0], answers[2], answers[3]], alone, strict=True):
        assert np.allclose(answer.probs, expected.probs, atol=1e-5) and answer.path == expected.path
    if kind in ("vanished", "folder"):  # neither is a picture that somebody asks for
        with pytest.raises(FileNotFoundError, match=r"bad\.png"):
            predictor.predict(bad)
    else:
        assert predictor.predict(bad) == 3


@pytest.mark.parametrize("path", ["", "nowhere.png", ".", "a\0b.png", "x" * 5000, 5, None])
def test_the_platform_always_gets_an_answer(predictor, tmp_path, path):
    prediction = Prediction()
    prediction.predictor = predictor
    assert prediction.predict(image_path=path) == {"label": 3}
    assert prediction.predict() == {"label": 3}
    for shade in range(0, 256, 5):  # until the answer is not the most frequent class
        Image.new("RGB", (40, 40), (shade, 255 - shade, shade)).save(tmp_path / "a.png")
        if predictor.predict(tmp_path / "a.png") != 3:
            break
    expected = {"label": predictor.predict(tmp_path / "a.png")}
    assert expected["label"] != 3
    for row in ({"picture": "a.png"}, {"id": 3, "name": "a.png"}, {"image_path": float("nan"), "name": "a.png"}):
        row = {name: str(tmp_path / value) if value == "a.png" else value for name, value in row.items()}
        assert prediction.predict(**row) == expected


def test_answers_come_in_order_however_long_decoding_takes(predictor, tmp_path, monkeypatch):
    paths = [picture(tmp_path / f"{n}.png", n) for n in range(70)]
    expected = predictor.predict_proba(paths)
    turn = threading.Lock()

    def slow(path, side):
        if int(path.stem) % 7 == 0:
            threading.Event().wait(0.01)
        with turn:
            return read(path)

    monkeypatch.setattr(recipe.pictures.anything, "read", slow)
    answers = list(predictor.predict_many(paths))
    assert [answer.path for answer in answers] == [str(path) for path in paths]
    assert np.allclose(np.stack([answer.probs for answer in answers]), expected, atol=1e-5)
    assert all(answer.label == predictor.classes[row.argmax()] for answer, row in zip(answers, expected, strict=True))


class Counted(np.ndarray):
    """An array that can be counted while it lives."""


def test_memory_does_not_grow_with_the_number_of_pictures(predictor, monkeypatch):
    """1,500 paths from a generator: at no time are more pictures alive, or more paths taken, than the bound."""
    alive: weakref.WeakSet[Counted] = weakref.WeakSet()
    lock, most, taken = threading.Lock(), 0, 0
    image = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)

    def counted(path: Path, side: int) -> np.ndarray:
        nonlocal most
        made = image.copy().view(Counted)
        with lock:
            alive.add(made)
            most = max(most, len(alive))
        return made

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield f"{taken}.png"

    monkeypatch.setattr(recipe.pictures.anything, "read", counted)
    Counted.__hash__ = object.__hash__  # type: ignore[method-assign]
    stream = predictor.predict_many(endless())
    bound = DECODED_AHEAD + 2 * 32 + 2
    for number in range(1, 1501):
        answer = next(stream)
        assert answer.path == f"{number}.png"
        assert taken - number <= bound
    stream.close()
    assert 32 < most <= bound
    del answer
    gc.collect()
    assert len(alive) == 0


def test_nothing_is_read_before_it_is_asked_for_and_a_caller_may_stop(predictor, tmp_path):
    stream = predictor.predict_many(iter([tmp_path / "none.png"]))
    assert isinstance(next(stream), Answer)
    with pytest.raises(StopIteration):
        next(stream)
    assert list(predictor.predict_many([])) == []


def test_ahead_cancels_what_was_not_begun():
    from concurrent.futures import ThreadPoolExecutor

    begun: list[int] = []
    gate = threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if item:
            gate.wait(10)
        return item

    with ThreadPoolExecutor(1) as pool:
        results = ahead(pool, work, range(100), count=5)
        assert next(results) == 0
        results.close()
        gate.set()
    assert len(begun) <= 3


def test_every_picture_unreadable(predictor, tmp_path):
    ensemble = predictor.ensemble
    probs = ensemble.probs([tmp_path / "a.png", tmp_path / "b.png"])
    assert np.allclose(probs, [PRIOR, PRIOR])
    assert ensemble.unreadable[-2:] == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]


def test_decoding_goes_on_while_the_networks_work(predictor, tmp_path, monkeypatch):
    """The second pass is decoded before the first one is answered."""
    folder = tmp_path / "run"
    train_folder(folder, folds=1)
    ensemble = Ensemble(folder, device="cpu")
    (member,) = ensemble.members
    decoded: list[str] = []
    seen_at_first_pass: list[int] = []
    ready = threading.Event()

    def noted(path: Path, side: int) -> np.ndarray:
        decoded.append(path.name)
        if len(decoded) > 40:
            ready.set()
        return np.zeros((40, 40, 3), np.uint8)

    networks = member.answering.networks

    def slow(crops: np.ndarray) -> np.ndarray:
        ready.wait(10)
        seen_at_first_pass.append(len(decoded))
        return networks(crops)

    monkeypatch.setattr(recipe.pictures.anything, "read", noted)
    monkeypatch.setattr(member, "answering", type(member.answering)(slow, "slow"))
    next(ensemble.stream(f"{n}.png" for n in range(200)))
    assert seen_at_first_pass[0] > 32
