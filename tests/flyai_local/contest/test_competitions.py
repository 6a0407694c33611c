"""Competitions by id: the embedded ones, and folders of one's own with all that people's tables hold."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flyai_local.__main__ import main
from flyai_local.contest.competitions import EMBEDDED, competition, competitions, hidden_rows, place
from flyai_local.contest.register import add
from flyai_local.contest.sketch import album
from flyai_local.contest.sketch.genera import GENERA
from flyai_local.contest.tables import read_table
from flyai_local.errors import UserError
from flyai_local.home import home

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with 12 pictures, image/0.jpg to image/11.jpg."""
    folder = tmp_path / "own" / "image"
    folder.mkdir(parents=True)
    for number in range(12):
        (folder / f"{number}.jpg").write_bytes(b"picture %d" % number)
    return folder


def table(pictures: Path, text: str | bytes | None = None, name: str = "train.csv") -> Path:
    """A CSV file beside the pictures; by default all twelve, in three classes."""
    if text is None:
        text = "image_path,label\n" + "".join(f"{number}.jpg,{number % 3}\n" for number in range(12))
    path = pictures.parent / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def placed_rows(folder: Path) -> list[list[str]]:
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


# --- reading people's tables -----------------------------------------------------------------------------------------

BODY = "image_path,label\n0.jpg,见手青\n1.jpg,鸡油菌\n"


@pytest.mark.parametrize(
    "content",
    [
        BODY.encode("utf-8"),
        BODY.encode("utf-8-sig"),
        BODY.encode("gbk"),
        BODY.encode("utf-16"),
        BODY.replace("\n", "\r\n").encode("utf-8"),
        BODY.replace("\n", "\r").encode("utf-8"),
        (BODY + "\n,\n\n").encode("utf-8"),
        BODY.replace("0.jpg", "image\\0.jpg").replace("1.jpg", "image\\1.jpg").encode("utf-8"),
        BODY.replace("0.jpg", "./image/0.jpg").replace("1.jpg", "./image/1.jpg").encode("utf-8"),
        BODY.replace("0.jpg", '"0.jpg"').replace("image_path,", " image_path ,").encode("utf-8"),
    ],
    ids=["utf8", "bom", "gbk", "utf16", "crlf", "cr", "empty-lines", "backslash", "dot-image", "quotes-blanks"],
)
def test_every_usual_spelling_of_a_table_gives_the_same_competition(pictures: Path, content: bytes) -> None:
    card = add("Mushrooms", table(pictures, content), pictures)
    assert [(row.picture, row.label) for row in read_table(card.train, *card.columns)] == [
        ("0.jpg", "见手青"),
        ("1.jpg", "鸡油菌"),
    ]
    assert card.images == pictures


@pytest.mark.parametrize(
    ("base", "prefix"),
    [("image", prefix) for prefix in ("", "./", "image/", "./image/", "image\\")]
    + [(".", "image/"), (".", "./image/"), (".", "image\\")],
)
def test_pictures_are_found_from_the_folder_or_its_parent(pictures: Path, base: str, prefix: str) -> None:
    csv_file = table(pictures, f"image_path,label\n{prefix}0.jpg,a\n{prefix}1.jpg,b\n")
    card = add("Own", csv_file, pictures.parent / base)
    assert card.images == pictures
    place(card, pictures.parent / "placed")
    assert placed_rows(pictures.parent / "placed")[1] == ["./image/0.jpg", "a"]


def test_a_name_that_leaves_its_suffix_out_is_found_beside_others_that_do_not(pictures: Path) -> None:
    (pictures / "2.jpg").write_bytes((pictures / "1.jpg").read_bytes())
    mixed = table(pictures, "image_path,label\nimage/0.jpg,a\nimage/1.jpg,b\nimage/2,b\n")
    card = add("Own", mixed, pictures)
    place(card, pictures.parent / "placed")
    names = [row[0] for row in placed_rows(pictures.parent / "placed")[1:]]
    assert len(names) == 3 and all((pictures.parent / "placed" / name).is_file() for name in names)


# --- refusals: each names what is wrong and where ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image_path,label\n0.jpg,a\nmissing.jpg,b\n", ["train.csv, line 3", "missing.jpg", "1 of 2"]),
        ("image_path,labels\n0.jpg,a\n", ["no column 'label'", "mean 'labels'", "--label-column"]),
        ("Image_Path,label\n0.jpg,a\n", ["no column 'image_path'", "mean 'Image_Path'"]),
        ("0.jpg,a\n1.jpg,b\n", ["header is missing", "image_path,label"]),
        ("image_path,label,label\n0.jpg,a,b\n", ["line 1", "'label' stands there twice"]),
        ('image_path,label\n0.jpg,"a\n1.jpg,b"\n2.jpg,b\n', ["line 2", "to line 3", "quote"]),
        ('image_path,label,note\n0.jpg,a,"x\n1.jpg,b,y"\n2.jpg,b,z\n', ["line 2", "'note'", "to line 3"]),
        ('image_path,label\n0.jpg,a\n1.jpg,"b\n2.jpg,b\n', ["line 3", "not closed"]),
        ("image_path,label\n0.jpg,a\n1.jpg," + "b" * 140_000 + "\n", ["line 3", "131,072 characters"]),
        ("image_path,label\n0.jpg,\n", ["line 2", "label is empty"]),
        ("image_path,label\n,a\n", ["line 2", "picture is empty"]),
        ("image_path,label\n0.jpg,a,b\n", ["line 2", "3 fields where the header has 2"]),
        ("image_path,label\n0.jpg,a\n1.jpg,a\n./0.jpg,b\n", ["line 4", "'0.jpg' is in line 2 already"]),
        ("image_path,label\n../image/../train.csv,a\n", ["line 2", "lies outside"]),
        ("image_path,label\n/etc/hostname,a\n", ["line 2", "lies outside"]),
        ("image_path,label\n", ["no rows"]),
        ("", ["is empty", "image_path,label"]),
        (b"image_path,label\n\xff\xff\x80\x80,a\n", ["no text in UTF-8", "--encoding"]),
    ],
)
def test_a_bad_table_is_refused_in_a_sentence(pictures: Path, text: str | bytes, words: list[str]) -> None:
    with pytest.raises(UserError) as refusal:
        add("Own", table(pictures, text), pictures)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)
    assert "Own" not in [card.id for card in competitions()]


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "_a", "-a", ".", "CON", "lpt1", "x" * 65, "a.b"])
def test_names_that_no_folder_can_bear_are_refused(pictures: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be used"):
        add(name, table(pictures), pictures)


def test_missing_files_and_folders_are_named(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no CSV file .*nothing\.csv"):
        add("Own", tmp_path / "nothing.csv", pictures)
    with pytest.raises(UserError, match=r"no folder .*nowhere"):
        add("Own", table(pictures), tmp_path / "nowhere")
    with pytest.raises(UserError, match="exclude each other"):
        add("Own", table(pictures), pictures, hidden_csv=table(pictures), hidden=0.5)
    with pytest.raises(UserError, match="metric 'kapa'"):
        add("Own", table(pictures), pictures, metric="kapa")


def test_a_taken_name_needs_replace(pictures: Path) -> None:
    add("Own", table(pictures), pictures)
    for name in ("Own", "own"):
        with pytest.raises(UserError, match=r"taken by the competition 'Own'"):
            add(name, table(pictures), pictures)
    with pytest.raises(UserError, match="taken by the embedded"):
        add("digits", table(pictures), pictures, replace=True)
    again = add("Own", table(pictures, "image_path,label\n0.jpg,a\n"), pictures, replace=True)
    assert len(read_table(again.train, *again.columns)) == 1
    assert sorted(entry.name for entry in (home() / "competitions").iterdir()) == ["Own"]


def test_a_hidden_picture_may_not_be_a_training_picture(pictures: Path) -> None:
    train = table(pictures, "image_path,label\n0.jpg,a\n1.jpg,b\n")
    shared = table(pictures, "image_path,label\n2.jpg,a\n./1.jpg,b\n", "hidden.csv")
    with pytest.raises(UserError, match=r"hidden\.csv, line 3: '1\.jpg' is also a training picture .*line 3"):
        add("Own", train, pictures, hidden_csv=shared)
    strange = table(pictures, "image_path,label\n2.jpg,c\n", "hidden.csv")
    with pytest.raises(UserError, match=r"hidden\.csv, line 2: the label 'c'"):
        add("Own", train, pictures, hidden_csv=strange)


# --- the hidden part --------------------------------------------------------------------------------------------------


def test_hidden_fraction_is_stratified_and_repeatable(pictures: Path) -> None:
    first = add("First", table(pictures), pictures, hidden=0.25)
    second = add("Second", table(pictures), pictures, hidden=0.25)
    labels = Counter(label for _, label in hidden_rows(first))
    assert labels == {0: 1, 1: 1, 2: 1}
    assert hidden_rows(first) == hidden_rows(second)
    train = {row.picture for row in read_table(first.train, *first.columns)}
    assert len(train) == 9
    assert not train & {path.name for path, _ in hidden_rows(first)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=6), fraction=st.floats(0.01, 0.99))
def test_every_class_keeps_a_training_row(counts: list[int], fraction: float) -> None:
    from flyai_local.contest.register import _split
    from flyai_local.contest.tables import Row

    rows = [Row(f"{label}-{at}.jpg", str(label), at) for label, count in enumerate(counts) for at in range(count)]
    try:
        train, hidden = _split(rows, fraction, "text")
    except UserError:
        assert all(min(round(fraction * count), count - 1) == 0 for count in counts)
        return
    assert sorted(train + hidden, key=rows.index) == rows
    for label, count in enumerate(counts):
        kept = sum(row.label == str(label) for row in train)
        assert kept >= 1
        assert count - kept == min(round(fraction * count), count - 1)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 25.0, float("nan")])
def test_a_fraction_outside_zero_to_one_is_refused(pictures: Path, fraction: float) -> None:
    with pytest.raises(UserError, match="not a fraction between 0 and 1"):
        add("Own", table(pictures), pictures, hidden=fraction)


# --- placing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copy", [False, True])
def test_place_writes_the_training_part_only(pictures: Path, tmp_path: Path, copy: bool) -> None:
    card = add("Own", table(pictures), pictures, hidden=0.25)
    target = tmp_path / "with blanks and 蘑菇"
    assert place(card, target, copy=copy) == 9
    rows = placed_rows(target)
    assert rows[0] == ["image_path", "label"]
    assert (target / "train.csv").read_bytes().count(b"\r") == 0
    assert {path for path, _ in rows[1:]} == {f"./image/{path.name}" for path in (target / "image").iterdir()}
    assert all((target / path).read_bytes().startswith(b"picture") for path, _ in rows[1:])
    assert {path.name for path in (target / "image").iterdir()}.isdisjoint(path.name for path, _ in hidden_rows(card))
    if copy:
        assert not any(path.is_symlink() or path.stat().st_nlink > 1 for path in (target / "image").iterdir())


def test_place_is_idempotent_and_leaves_other_files_alone(pictures: Path, tmp_path: Path) -> None:
    card = add("Own", table(pictures), pictures)
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "notes.txt").write_text("mine", encoding="utf-8")
    place(card, tmp_path / "to", copy=True)
    place(card, tmp_path / "to")
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == [
        "competition.json", "image", "notes.txt", "train.csv"
    ]  # fmt: skip
    assert (pictures / "0.jpg").read_bytes() == b"picture 0"


def test_limit_takes_the_classes_in_turn(pictures: Path, tmp_path: Path) -> None:
    text = "image_path,label\n" + "".join(f"{at}.jpg,{'rare' if at == 11 else 'common'}\n" for at in range(12))
    card = add("Own", table(pictures, text), pictures)
    assert place(card, tmp_path / "to", limit=4) == 4
    assert [label for _, label in placed_rows(tmp_path / "to")[1:]] == ["common"] * 3 + ["rare"]
    assert place(card, tmp_path / "all", limit=100) == 12


def test_hidden_pictures_are_never_placed(pictures: Path, tmp_path: Path) -> None:
    card = add("Own", table(pictures), pictures, hidden=0.25)
    with pytest.raises(ValueError, match="'hidden' cannot be placed"):
        place(card, tmp_path / "to", part="hidden")
    assert not (tmp_path / "to").exists()


def test_own_columns_and_subfolders_are_kept(pictures: Path, tmp_path: Path) -> None:
    (pictures / "deep").mkdir()
    (pictures / "deep" / "0.jpg").write_bytes(b"picture deep")
    text = 'id,species,file\n1,Fly agaric,deep/0.jpg\n2,"a, b",1.jpg\n'
    card = add("Own", table(pictures, text), pictures, image_column="file", label_column="species")
    place(card, tmp_path / "to")
    assert placed_rows(tmp_path / "to") == [
        ["file", "species"],
        ["./image/deep/0.jpg", "Fly agaric"],
        ["./image/1.jpg", "a, b"],
    ]


def test_placed_pictures_outlive_the_cache(tmp_path: Path) -> None:
    card = competition("Digits")
    place(card, tmp_path / "to", limit=10)
    shutil.rmtree(home() / "cache")
    assert all(cv2.imread(str(tmp_path / "to" / path)) is not None for path, _ in placed_rows(tmp_path / "to")[1:])


def test_a_replaced_picture_of_ones_own_is_seen(pictures: Path, tmp_path: Path) -> None:
    place(add("Own", table(pictures), pictures), tmp_path / "to")
    if not (tmp_path / "to" / "image" / "0.jpg").is_symlink():
        pytest.skip("this system does not let users make symbolic links")
    (pictures / "0.jpg").unlink()
    (pictures / "0.jpg").write_bytes(b"repaired")
    assert (tmp_path / "to" / "image" / "0.jpg").read_bytes() == b"repaired"


def test_pictures_that_are_gone_are_named_and_nothing_is_placed(pictures: Path, tmp_path: Path) -> None:
    card = add("Own", table(pictures), pictures)
    (pictures / "5.jpg").unlink()
    with pytest.raises(UserError, match=r"5\.jpg' is gone: put it back, .* nothing was placed"):
        place(card, tmp_path / "to")
    (pictures / "7.jpg").unlink()
    with pytest.raises(UserError, match=r"\.jpg' and 1 more are gone: put them back"):
        place(card, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_disk_that_fails_halfway_leaves_nothing_new(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, folder, copied = add("Own", table(pictures), pictures), tmp_path / "to", []

    def full(source: Path, target: Path) -> None:
        copied.append(target)
        if len(copied) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        place(card, folder, copy=True)
    assert not folder.exists()
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    copied.clear()
    with pytest.raises(OSError, match="No space left"):
        place(card, folder, copy=True)
    assert [path.name for path in folder.rglob("*")] == ["notes.txt"]


def test_a_damaged_card_is_named(pictures: Path) -> None:
    card = add("Own", table(pictures), pictures)
    (card.train.parent / "card.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"card\.json cannot be read"):
        competition("Own")


# --- the embedded competitions ----------------------------------------------------------------------------------------


def test_digits_are_the_digits_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    card = competition("Digits")
    hidden = hidden_rows(card)
    assert place(card, tmp_path / "to") == 1347
    assert len(hidden) == 450
    assert {type(label) for _, label in hidden} == {int}
    assert max(Counter(label for _, label in hidden).values()) <= 47
    small = {}
    for path, label in hidden:
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        assert picture.shape == (64, 64)
        small[path] = (cv2.resize(255.0 - picture, (8, 8), interpolation=cv2.INTER_AREA), label)
    originals = load_digits()
    flat = originals.images.reshape(-1, 64)
    for shrunk, label in list(small.values())[:40]:
        nearest = np.square(flat - shrunk.reshape(64) / 255 * 16).sum(1).argmin()
        assert originals.target[nearest] == label


def test_sketch_has_equal_classes_in_both_parts() -> None:
    for part, count in album.PARTS.items():
        labels = Counter(album.label(part, number) for number in range(count))
        assert labels == dict.fromkeys(range(len(GENERA)), count // len(GENERA))


def test_sketch_pictures_repeat_and_differ() -> None:
    first = [album.draw("train", number) for number in range(6)]
    again = [album.draw("train", number) for number in reversed(range(6))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({picture.tobytes() for picture in [*first, album.draw("hidden", 0)]}) == 7
    for picture in first:
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert 150 < min(picture.shape[:2]) <= max(picture.shape[:2]) < 400
        assert picture.std() > 10


@pytest.mark.parametrize("genus", GENERA, ids=lambda genus: genus.name)
def test_every_genus_draws_from_every_side(genus: object) -> None:
    from flyai_local.contest.sketch.photo import photograph

    for seed in range(6):
        picture = photograph(np.random.default_rng([7, seed]), genus)  # type: ignore[arg-type]
        assert 5 < picture.mean() < 250


def test_an_embedded_competition_is_made_once_for_two_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "flyai_local", "download", "Digits", "--to"]
    environment = {**os.environ, "FLYAI_LOCAL_HOME": str(tmp_path / "home")}
    both = [
        subprocess.Popen([*command, str(tmp_path / name)], cwd=ROOT, env=environment, stderr=subprocess.PIPE)
        for name in ("one", "two")
    ]
    assert [process.communicate()[1] and process.returncode for process in both] == [0, 0]
    assert [entry.name for entry in (tmp_path / "home" / "cache").iterdir()] == ["Digits-v1"]
    assert placed_rows(tmp_path / "one") == placed_rows(tmp_path / "two")


# --- the command line -------------------------------------------------------------------------------------------------


def test_a_whole_journey_on_the_command_line(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["add", "Own", "--csv", str(table(pictures)), "--images", str(pictures), "--hidden", "0.25"]
    assert main(arguments) == 0
    assert "3 classes, 9 training pictures, 3 hidden" in capsys.readouterr().out
    assert main(arguments) == 1
    assert "--replace" in capsys.readouterr().err
    assert main([*arguments, "--replace"]) == 0
    assert main(["download", "Own", "--to", str(tmp_path / "to"), "--limit", "3"]) == 0
    assert len(placed_rows(tmp_path / "to")) == 4
    capsys.readouterr()
    assert main(["competitions", "--json"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == {*EMBEDDED, "Own"}
    assert (rows["Own"]["train"], rows["Own"]["hidden"], rows["Own"]["classes"]) == (9, 3, 3)


def test_an_unknown_id_names_the_known_ones(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["download", "MushroomSketsh", "--to", str(tmp_path / "to")]) == 1
    message = capsys.readouterr().err
    assert "Did you mean 'MushroomSketch'?" in message
    assert "Digits" in message
    assert "flyai_local add" in message
    assert main(["download", "../../etc"]) == 1


@pytest.mark.parametrize(
    "arguments", [[], ["dwonload"], ["download"], ["add", "x"], ["download", "Digits", "--limit", "0"]]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2


def test_every_command_documents_its_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    commands = [path.stem for path in (ROOT / "flyai_local" / "commands").glob("*.py") if path.stem != "__init__"]
    assert {"competitions", "add", "download", "board", "log"} <= set(commands)
    for name in commands:
        assert f"  {name} " in overview
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0
        text = capsys.readouterr().out
        assert "exit codes" in text
        assert "  0  " in text
        assert "  2  " in text


def test_help_imports_no_heavy_library() -> None:
    script = (
        "import sys; from flyai_local.__main__ import main; main(['--help']); main(['competitions']); "
        "heavy = {'numpy', 'cv2', 'sklearn', 'torch', 'pandas'} & set(sys.modules); sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_an_unwritable_target_is_a_sentence(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add("Own", table(pictures), pictures)
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["download", "Own", "--to", str(tmp_path / "file" / "below")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_home_follows_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLYAI_LOCAL_HOME", "relative")
    assert home() == tmp_path / "relative"
    assert home().is_dir()
    monkeypatch.setenv("FLYAI_LOCAL_HOME", " ")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "user")
    assert home() == tmp_path / "user" / ".flyai_local"
