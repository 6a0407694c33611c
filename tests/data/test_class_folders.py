"""Folders as archives and other programs lay them: what is taken for a class, and that what is not read is said."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from protocol.errors import UserError
from protocol.labels import respelt
from protocol.picture_paths import locate
from recipe.data.class_folders import read_folder
from recipe.data.findings import DataError
from recipe.data.reading import read_csv
from tests.conftest import draw


def lay(folder: Path, *names: str) -> Path:
    """Pictures of these names below a folder, whatever their suffix."""
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(cv2.imencode(".jpg", draw(0, seed))[1].tobytes())
    return folder


def kinds(table) -> list[str]:
    return [finding.kind for finding in table.findings]


@pytest.mark.parametrize(
    ("names", "others"),
    [
        (("training_set/training_set/a/1.jpg", "training_set/training_set/b/1.jpg", "test_set/test_set/a/2.jpg"), True),
        (("seg_train/seg_train/a/1.jpg", "seg_train/seg_train/b/1.jpg", "seg_pred/seg_pred/3.jpg"), True),
        (("train_data/a/1.jpg", "train_data/b/1.jpg", "test_data/a/2.jpg", "test_data/b/2.jpg"), True),
        (("train/a/1.jpg", "train/b/1.jpg", "sample_images/2.jpg"), True),
        (("set/Train/a/1.jpg", "set/Train/b/1.jpg", "set/Valid/a/2.jpg"), True),
        (("set/a/1.jpg", "set/b/1.jpg"), False),
        (("set/set/a/1.jpg", "set/set/b/1.jpg"), False),
    ],
)
def test_no_part_of_a_set_is_taken_for_a_class(tmp_path, names, others):
    table = read_folder(lay(tmp_path, *names))
    assert table.classes == ("a", "b")
    assert len(table) == 2
    assert kinds(table) == ["other-part"] * others


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("train/1.jpg", "dog/1.jpg"), ("dog", "train")),  # a railway, told by its own pictures
        (("cat/day1/1.jpg", "cat/day2/1.jpg", "dog/day1/1.jpg"), ("cat", "dog")),
        (("test_tube/old/1.jpg", "flask/old/1.jpg"), ("flask", "test_tube")),
    ],
)
def test_classes_stay_classes_whatever_they_are_called(tmp_path, names, classes):
    assert read_folder(lay(tmp_path, *names)).classes == classes


def test_what_is_not_read_is_said(tmp_path):
    lay(tmp_path, "a/1.jfif", "a/2.JPE", "a/3.heic", "a/4", "a/notes.txt", "b/1.ppm", "loose.jpg", "B/1.jpg")
    table = read_folder(tmp_path)
    assert len(table) == 4
    assert kinds(table) == ["similar-labels", "loose-pictures", "other-files"]
    assert "1 .heic, 1 without a suffix" in str(table.findings[2])


def test_a_flat_folder_is_told_what_to_do(tmp_path):
    with pytest.raises(DataError, match="holds 2 pictures and no folder of a class"):
        read_folder(lay(tmp_path, "cat.0.jpg", "dog.0.jpg"))


@pytest.mark.parametrize(
    ("written", "lies"),
    [
        ("1.JPG", "1.jpg"),
        ("img_1.png", "IMG_1.PNG"),
        ("Photos/1.jpg", "photos/1.jpg"),
        ("1", "1.JPG"),
        ("1", "1.bmp"),
        ("È", "e\u0300.Webp"),
    ],
)
def test_a_picture_is_found_in_another_case(tmp_path, written, lies):
    lay(tmp_path, lies)
    found, notes = locate(tmp_path / "t.csv", [written], tmp_path)
    assert found == [str(tmp_path / lies)]
    assert "other-spelling" in [note.kind for note in notes]


def test_addresses_of_the_network_are_no_files(tmp_path):
    for address in ("https://a.b/1.jpg", " HTTP://a.b/1.jpg", "s3://b/1.jpg"):
        with pytest.raises(UserError, match="is an address, and pictures are read from files; download them"):
            locate(tmp_path / "t.csv", ["0.jpg", address], tmp_path)
    assert locate(tmp_path / "t.csv", ["a:/b.jpg"], tmp_path)[0] == [str(tmp_path / "a:/b.jpg")]


@pytest.mark.parametrize("lies", [("1.png",), ("a.jpg", "A.jpg")])
def test_a_picture_of_another_format_or_one_of_two_is_not_taken(tmp_path, lies):
    """A mask beside a picture that is gone is no picture; of two that differ in case neither is meant."""
    lay(tmp_path, *lies)
    written = "1.jpg" if len(lies) == 1 else "a.JPG"
    assert locate(tmp_path / "t.csv", [written], tmp_path)[0] == [str(tmp_path / written)]


def test_ids_of_pictures_in_two_formats_are_all_found(tmp_path):
    lay(tmp_path, "1.jpg", "2.png", "3.jpg", "4.png")
    (tmp_path / "t.csv").write_text("image_path,label\n1,a\n2,b\n3,a\n4,b\n", encoding="utf-8")
    assert all(path.is_file() for path in read_csv(tmp_path / "t.csv").paths)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["01", "02"], "'01' is the number 1"),
        (["01", "1", "2"], "'01' and '1' are one number"),
        (["100000", "1e5"], "'1e5' and '100000' are one number"),
        (["2", "1E2"], "'1E2' is the number 100"),
    ],
)
def test_codes_that_are_read_as_numbers_are_said(labels, said):
    (finding,) = respelt(Path("t.csv"), labels)
    assert said in str(finding)


@pytest.mark.parametrize("labels", [["0", "1", "10"], ["0.5", "1.0"], ["01", "x"], ["-1", "0", "inf"], ["True"], [""]])
def test_plain_numbers_and_words_are_not_remarked_on(labels):
    assert respelt(Path("t.csv"), labels) == []
