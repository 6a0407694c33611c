"""Checkpoints and prediction: one decoder, softmax before averaging, the vocabulary and type of train.csv."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from protocol.errors import UserError
from recipe.__main__ import _command as command
from recipe.commands import predict
from recipe.components.views import VIEWS, build_views
from recipe.config import Config
from recipe.models.classifier import build
from recipe.pictures.preprocessing import Preprocessing, short_side
from recipe.runs.checkpoint import load_checkpoint, save_checkpoint
from recipe.runs.description import Description, fold_folders
from recipe.runs.ensemble import Answering, write_answering
from recipe.serving.incoming import must_exist
from recipe.serving.predict import Ensemble
from recipe.serving.torch import average_views
from recipe.system.atomic import CheckpointError, atomic, read_sealed_json, write_sealed_json
from recipe.system.runtime import Runtime

CONFIG = Config(backbone="test_efficientnet", pretrained=False, image_size=32, views="identity()", crop_pct=0.8)
SIZES = Preprocessing(32, 0.8, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def train_folder(folder, folds=2, values=(0, 3, 7), config=CONFIG):
    """A run folder with untrained folds."""
    models = []
    for fold in range(folds):
        torch.manual_seed(fold)
        model = build(config, len(values)).eval()
        torch.nn.init.normal_(model.head.classifier.weight, std=2.0)
        description = Description(config, values, (0.2, 0.5, 0.3), SIZES, fold, 1, 0.5)
        save_checkpoint(folder / f"fold{fold}", model.state_dict(), description)
        models.append(model)
    return models


def picture(path, seed=0, height=50, width=40):
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8))
    return path


def test_a_checkpoint_rebuilds_its_own_model(tmp_path):
    (model, _) = train_folder(tmp_path)
    loaded, description = load_checkpoint(tmp_path / "fold0")
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(loaded(images), model(images))
    assert description.values == (0, 3, 7)
    assert isinstance(description.values[0], int)
    assert description.config == CONFIG


def test_softmax_before_averaging(tmp_path):
    """Against the definition, written out."""
    models = train_folder(tmp_path)
    write_answering(tmp_path, Answering(views="identity(), hflip(), vflip()"))
    ensemble = Ensemble(tmp_path)
    path = picture(tmp_path / "a.png")
    image = cv2.cvtColor(
        cv2.imread(str(path)), cv2.COLOR_BGR2RGB
    )  # 50 x 40, and the short side wanted is 32 / 0.8 = 40
    crop = image[9:41, 4:36]
    crops = [crop, crop[:, ::-1], crop[::-1]]
    images = (torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    with torch.inference_mode():
        expected = torch.stack([model(images).softmax(1) for model in models]).mean((0, 1)).numpy()
    assert np.allclose(ensemble.probs([path])[0], expected, atol=1e-5)


@pytest.mark.limit("view", "identity")
def test_one_identity_view_and_one_model_is_the_plain_model(tmp_path):
    (model,) = train_folder(tmp_path, folds=1)
    images = [np.random.default_rng(n).integers(0, 255, (40, 60, 3), dtype=np.uint8) for n in range(5)]
    probs = np.stack(
        list(average_views([model], images, build_views("identity()", 32), SIZES, Runtime(torch.device("cpu"))))
    )
    crops = torch.from_numpy(np.stack([image[4:36, 14:46] for image in images])).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = model((crops.float() / 255 - 0.5) / 0.25).softmax(1).numpy()
    assert np.allclose(probs, expected, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 33, 70])
def test_answers_do_not_depend_on_what_else_is_asked(tmp_path, count):
    train_folder(tmp_path)
    ensemble = Ensemble(tmp_path)
    paths = [picture(tmp_path / f"{n}.png", n) for n in range(count)]
    together = ensemble.probs(paths)
    assert np.allclose(together[-1], ensemble.probs([paths[-1]])[0], atol=1e-5)


def test_a_corrupt_picture_gets_the_prior_and_no_other_one_moves(tmp_path, caplog):
    train_folder(tmp_path)
    ensemble = Ensemble(tmp_path)
    good = [picture(tmp_path / f"{n}.png", n) for n in range(3)]
    (tmp_path / "bad.jpg").write_text("no picture", encoding="utf-8")
    probs = ensemble.probs([good[0], tmp_path / "bad.jpg", good[1], good[2]])
    assert np.allclose(probs[1], [0.2, 0.5, 0.3])
    assert np.allclose(probs[[0, 2, 3]], Ensemble(tmp_path).probs(good), atol=1e-5)
    assert "bad.jpg" in caplog.text
    assert ensemble.unreadable == [str(tmp_path / "bad.jpg")]
    assert ensemble.answers(probs)[1].label == 3


def test_a_missing_picture_is_named(tmp_path):
    train_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no picture '.*none\.png'"):
        Ensemble(tmp_path).probs_of_files([tmp_path / "none.png"])


@pytest.mark.parametrize(
    "path",
    ["", ".", Path(), "x" * 5000, "a\0b.jpg", "\udcff.jpg"],
    ids=["empty", "a folder", "an empty Path", "too long", "a NUL", "no UTF-8"],
)
def test_what_names_no_file_is_no_picture(path):
    """A folder, an empty name, one that no file can have: a sentence, whatever the system says of it."""
    with pytest.raises(FileNotFoundError, match=r"there is no picture .{1,400}check the path"):
        must_exist(path)


def test_nothing_trained(tmp_path):
    with pytest.raises(CheckpointError, match=r"train first: \S*python main\.py"):
        Ensemble(tmp_path)


def test_folds_of_different_runs_are_refused(tmp_path):
    train_folder(tmp_path)
    train_folder(tmp_path / "other", values=("a", "b", "c"))
    (tmp_path / "other" / "fold0").rename(tmp_path / "fold7")
    with pytest.raises(CheckpointError, match="different runs"):
        Ensemble(tmp_path)


def test_broken_checkpoints_are_named(tmp_path):
    train_folder(tmp_path)
    weights = tmp_path / "fold0" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be used"):
        load_checkpoint(tmp_path / "fold0")
    description = tmp_path / "fold1" / "fold.json"
    description.write_text(description.read_text(encoding="utf-8")[:50], encoding="utf-8")
    with pytest.raises(CheckpointError, match="train again or restore"):
        load_checkpoint(tmp_path / "fold1")


def test_a_checkpoint_of_another_version_is_refused(tmp_path):
    train_folder(tmp_path)
    path = tmp_path / "fold0" / "fold.json"
    write_sealed_json(path, read_sealed_json(path) | {"format": 99})
    with pytest.raises(CheckpointError, match="another version"):
        load_checkpoint(tmp_path / "fold0")


def test_folds_come_in_numerical_order(tmp_path):
    train_folder(tmp_path, folds=11)
    assert [path.name for path in fold_folders(tmp_path)] == [f"fold{n}" for n in range(11)]


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt), atomic(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt
    assert path.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", list(VIEWS))
@pytest.mark.parametrize("shape", [(32, 32), (40, 50), (64, 40)])
def test_views_keep_shape_and_type(name, shape):
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    before = image.copy()
    views = build_views(f"{name}()", 32)
    crops = [view(image) for view in views]
    assert all(crop.shape == (32, 32, 3) and crop.dtype == np.uint8 for crop in crops)
    assert np.array_equal(image, before)


@pytest.mark.reference("view", "hflip", "ten_crop", "dihedral")
@pytest.mark.limit("view", "five_crop", "scales")
def test_views_are_what_they_say():
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    assert len({view(image).tobytes() for view in build_views("dihedral()", 32)}) == 8
    assert len({view(image).tobytes() for view in build_views("five_crop()", 32)}) == 1
    large = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    assert len({view(large).tobytes() for view in build_views("ten_crop()", 32)}) == 10
    (flip,) = build_views("hflip()", 32)
    assert np.array_equal(flip(flip(image)), image)
    assert np.array_equal(build_views("scales((1.0,))", 32)[0](large), build_views("identity()", 32)[0](large))


def test_short_side():
    assert short_side(SIZES) == 40
    assert short_side(Preprocessing(528, 0.942, (0,) * 3, (1,) * 3)) == 561


def test_a_picture_in_memory_is_answered_as_its_file(tmp_path):
    """Path, bytes, array and Pillow's picture give the same pixels, upright; lossless, so that no decoder differs."""
    from PIL import Image

    from recipe.pictures.anything import pixels, refusal
    from recipe.pictures.decode import read

    array = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for shown in (array, array[..., :3], array[..., 0]):
        file = tmp_path / "picture.png"
        Image.fromarray(shown).save(file)
        of_file = read(file)
        with Image.open(file) as opened:
            for held in (file, str(file), file.read_bytes(), shown, opened):
                assert np.array_equal(pixels(held), of_file)
        Image.fromarray(shown).save(file, exif=exif)
        with Image.open(file) as opened:
            assert np.array_equal(pixels(opened), read(file)) and read(file).shape == (30, 20, 3)
    for wrong in (array / 255, array[..., :2], [[1, 2]], None):
        assert "is no picture" in refusal(wrong)


@pytest.mark.skipif(os.name == "nt", reason="file names are text on Windows")
def test_a_table_of_answers_names_what_was_stored_in_gbk(tmp_path):
    """An old archive unpacked on Linux: no UTF-8 names; the table is UTF-8, and finds the pictures again."""
    train_folder(tmp_path / "run")
    data = np.random.default_rng(0).integers(0, 255, (3, 50, 40, 3), dtype=np.uint8)
    stored = ["蘑菇.png".encode("gbk"), "b é.png".encode(), b"c\xff.png"]
    (tmp_path / "pictures").mkdir()
    for name, pixels in zip(stored, data, strict=True):
        (tmp_path / "pictures" / os.fsdecode(name)).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    table, again = tmp_path / "submission.csv", tmp_path / "again.csv"
    words = ["--run", str(tmp_path / "run"), "--device", "cpu", "--out"]
    assert predict.run(parser.parse_args([str(tmp_path / "pictures"), *words, str(table)])) == 0
    lines = table.read_text(encoding="utf-8").splitlines()
    assert sorted(line.rpartition(",")[0] for line in lines) == ["b é.png", "c\\xff.png", "image_path", "蘑菇.png"]
    right = [answer.label for answer in Ensemble(tmp_path / "run", "cpu").stream(list(data[..., ::-1]))]
    given = dict(line.rsplit(",", 1) for line in lines)
    assert [given["蘑菇.png"], given["b é.png"], given["c\\xff.png"]] == [str(label) for label in right]
    table.write_text("\n".join(line for line in lines if "xff" not in line), encoding="utf-8")
    images = ["--images", str(tmp_path / "pictures")]
    assert predict.run(parser.parse_args([str(table), *images, *words, str(again)])) == 0
    assert again.read_text(encoding="utf-8").split() == table.read_text(encoding="utf-8").split()


def predict_to(out, pictures, *more):
    return command(["predict", str(pictures), "--out", str(out), "--run", str(out.parent), *more])


def test_a_table_of_answers_takes_nobodys_place(tmp_path):
    """The table that was asked about, with all its other columns, was overwritten."""
    table = tmp_path / "t.csv"
    table.write_text("image_path,kept\na.png,1\n", encoding="utf-8")
    with pytest.raises(UserError, match="is the table of the pictures itself"):
        predict_to(table, table)
    with pytest.raises(UserError, match=r"is a folder; name a file in it: .*submission\.csv"):
        predict_to(tmp_path, table)
    with pytest.raises(UserError, match=r"written as CSV; call it o\.csv"):
        predict_to(tmp_path / "o.XLSX", table)
    with pytest.raises(UserError, match="both 'image_path'"):
        predict_to(tmp_path / "o.csv", table, "--label-column", "image_path")
    assert table.read_text(encoding="utf-8").endswith("a.png,1\n")


@pytest.mark.parametrize(("rows", "said"), [("a.png,1\n,2\n", "line 3: no picture"), ("", "names no picture")])
def test_a_table_without_pictures_is_told_so(tmp_path, rows, said):
    (tmp_path / "t.csv").write_text("image_path,kept\n" + rows, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        predict_to(tmp_path / "o.csv", tmp_path / "t.csv")


def test_one_picture_is_answered_and_what_is_none_is_said(tmp_path, capsys):
    train_folder(tmp_path)
    (tmp_path / "p").mkdir()
    picture(tmp_path / "p" / "a.png")
    (tmp_path / "p" / "b.heic").write_bytes(b"x")
    assert predict_to(tmp_path / "o.csv", tmp_path / "p" / "a.png") == 0
    assert (tmp_path / "o.csv").read_text(encoding="utf-8").startswith("image_path,label\na.png,")
    assert predict_to(tmp_path / "o.csv", tmp_path / "p") == 0
    assert "1 .heic" in capsys.readouterr().err
