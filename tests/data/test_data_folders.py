"""Folders of classes and CIFAR files, hostile ones too."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from data_files import kinds, picture

from recipe.data.findings import DataError
from recipe.data.reading import read, read_cifar, read_folder
from recipe.pictures.decode import read as read_picture


def test_a_folder_per_class(tmp_path):
    for name in ("b/1.png", "b/deep/2.JPG", "a/1.png", ".hidden/1.png", "__MACOSX/1.png", "a/.DS_Store.png"):
        picture(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("no picture", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    table = read(tmp_path)
    assert table.names == ("a/1.png", "b/1.png", "b/deep/2.JPG")
    assert table.classes == ("a", "b", "empty")
    assert table.labels.tolist() == [0, 1, 1]
    assert kinds(table.findings) == {"empty-class": 1}


def test_a_folder_with_train_and_test_parts(tmp_path):
    for name in ("train/a/1.png", "train/b/1.png", "test/a/2.png"):
        picture(tmp_path / name)
    assert read(tmp_path).names == ("a/1.png", "b/1.png")
    with pytest.raises(DataError, match="no train folder"):
        (tmp_path / "train").rename(tmp_path / "valid")
        read_folder(tmp_path)


def cifar(folder: Path, hundred: bool) -> np.ndarray:
    """Files in the layout of CIFAR, three pictures each; returns the (3, 32, 32, 3) pixels."""
    pixels = np.random.default_rng(1).integers(0, 255, (3, 32, 32, 3), dtype=np.uint8)
    flat = pixels.transpose(0, 3, 1, 2).reshape(3, 3072)
    names, labels = (b"fine_label_names", b"fine_labels") if hundred else (b"label_names", b"labels")
    folder.mkdir()
    (folder / ("meta" if hundred else "batches.meta")).write_bytes(pickle.dumps({names: [b"apple", b"bear", b"cup"]}))
    for part in ["train", "test"] if hundred else [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
        (folder / part).write_bytes(pickle.dumps({b"data": flat, labels: [2, 0, 1]}, protocol=2))
    return pixels


@pytest.mark.parametrize("hundred", [False, True])
def test_cifar_pickles_become_pngs_once(tmp_path, hundred):
    pixels = cifar(tmp_path / "cifar", hundred)
    table = read(tmp_path / "cifar")
    assert len(table) == (3 if hundred else 15)
    assert table.values == (0, 1, 2)
    assert table.classes == ("apple", "bear", "cup")
    assert table.labels[:3].tolist() == [2, 0, 1]
    for path, expected in zip(table.paths, pixels, strict=False):
        np.testing.assert_array_equal(read_picture(path), expected)
    before = table.paths[0].stat().st_mtime_ns
    assert read_cifar(tmp_path / "cifar").paths[0].stat().st_mtime_ns == before
    assert len(read_cifar(tmp_path / "cifar", "test")) == 3


class Attack:
    def __reduce__(self):
        return os.system, ("echo attacked",)


def test_a_pickle_that_runs_code_is_refused(tmp_path, capfd):
    cifar(tmp_path / "cifar", hundred=True)
    (tmp_path / "cifar" / "train").write_bytes(pickle.dumps({b"data": Attack()}))
    with pytest.raises(DataError, match=r"asks for \w+\.system"):
        read(tmp_path / "cifar")
    assert "attacked" not in capfd.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        pickle.dumps([1]),
        pickle.dumps({b"data": np.zeros((2, 7), np.uint8), b"fine_labels": [0, 1]}),
        pickle.dumps({}),
    ],
)
def test_a_damaged_cifar_file_is_named(tmp_path, content):
    cifar(tmp_path / "cifar", hundred=True)
    (tmp_path / "cifar" / "train").write_bytes(content)
    with pytest.raises(DataError, match="Unpack the original archive again"):
        read(tmp_path / "cifar")


def test_a_missing_cifar_file_is_named(tmp_path):
    cifar(tmp_path / "cifar", hundred=False)
    (tmp_path / "cifar" / "data_batch_3").unlink()
    with pytest.raises(DataError, match="data_batch_3 is missing"):
        read(tmp_path / "cifar")


def test_a_cifar_of_pngs_is_a_folder_per_class(tmp_path):
    picture(tmp_path / "train" / "apple" / "1.png")
    picture(tmp_path / "train" / "bear" / "1.png")
    picture(tmp_path / "test" / "bear" / "1.png")
    assert read_cifar(tmp_path).classes == read(tmp_path).classes == ("apple", "bear")
    assert len(read_cifar(tmp_path, "test")) == 1
