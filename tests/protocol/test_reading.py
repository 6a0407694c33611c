"""Tables of real people: encodings, quotes, look-alike labels, paths spelt in two ways, labels of another task."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from data_files import kinds, write

from protocol.csv_file import read_rows
from protocol.encodings import decoded
from protocol.findings import DataError
from protocol.labels import similar
from protocol.picture_paths import locate, readable
from protocol.task import other_task

FILE = Path("t.csv")
CHINESE = "image_path,label\n图片/001.jpg,牛肝菌\n图片/002.jpg,鹅膏菌\n图片/003.jpg,蝉花\n"
OTHERS = {
    "German": ("Grünling\nPfifferling\nSteinpilz\nTäubling", "cp1252"),
    "French": ("cèpe\namanite phalloïde\ngirolle", "latin-1"),
    "Spanish": ("níscalo\nseñorita\nchampiñón", "cp1252"),
    "Polish": ("mleczaj żółty\nśliwka\nźdźbło", "cp1250"),
    "Turkish": ("çiçek\nağaç\nkuş", "cp1254"),
    "Russian": ("белый гриб\nмухомор\nлисичка", "cp1251"),
    "Russian as KOI8": ("белый гриб\nмухомор\nлисичка", "koi8-r"),
    "Greek": ("σκύλος\nγάτα\nάλογο", "cp1253"),
    "Japanese": ("しいたけ\nマツタケ\nきのこ", "shift_jis"),
    "Japanese as EUC": ("しいたけ\nマツタケ\n椎茸", "euc_jp"),
    "Korean": ("표고버섯\n느타리버섯\n송이버섯\n고양이\n강아지", "euc_kr"),
    "Taiwanese": ("蘑菇\n香菇\n動物\n貓", "big5"),
}


@pytest.mark.parametrize(
    "text", [CHINESE, "image_path,label\na.jpg,狗\n", "a,label\n1.jpg,正常\n2.jpg,异常，ü\n", "a\n😀蘑菇很好吃\n"]
)
def test_chinese_is_read_as_gbk(text: str) -> None:
    assert decoded(text.encode("gb18030")) == (text, "gb18030")


@pytest.mark.parametrize(("words", "encoding"), OTHERS.values(), ids=OTHERS)
def test_what_is_not_chinese_is_asked_for(tmp_path: Path, words: str, encoding: str) -> None:
    text = "image_path,label\n" + "".join(f"{at}.jpg,{word}\n" for at, word in enumerate(words.splitlines()))
    file = write(tmp_path, text.encode(encoding))
    with pytest.raises(DataError, match="--encoding"):
        read_rows(file, ["image_path", "label"])
    rows, notes = read_rows(file, ["image_path", "label"], encoding)
    assert rows.columns["label"] == words.splitlines()
    assert kinds(notes) == {"encoding": 1}


@pytest.mark.parametrize(
    ("name", "words"), [("utf-9", "knows no such"), ("hex", "no such"), ("ascii", "line 2"), ("a\0b", "no such")]
)
def test_a_named_encoding_that_does_not_fit_is_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_rows(write(tmp_path, "image_path,label\nä.jpg,a\n"), ["image_path"], name)


def test_a_quote_that_swallows_rows_is_named_and_a_remark_of_two_lines_is_not(tmp_path: Path) -> None:
    for text in ('a.jpg,"cat,x\nb.jpg,dog,"y"\n', 'a.jpg,cat,"x\nb.jpg,dog,y"\nc.jpg,cat,z\n'):
        with pytest.raises(DataError, match="line 2"):
            read_rows(write(tmp_path, "image_path,label,note\n" + text), ["image_path", "label"])
    kept = 'image_path,label,note\na.jpg,cat,"two\nlines, of text"\nb.jpg,dog,\n'
    assert read_rows(write(tmp_path, kept), ["image_path", "label"])[0].lines == [2, 4]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cat", "cat"),
        ("cat ", "cat"),
        ("black  cat", "black cat"),
        ("caf\u00e9", "cafe\u0301"),
        ("cat\u200b", "cat"),
        ("\ufeffcat", "cat"),
        ("ｃａｔ", "cat"),
        ("black\u00a0cat", "black cat"),
        ("❤\ufe0f", "❤"),
        ("ﬁsh", "fish"),
        ("１", "1"),
    ],
)
def test_labels_that_look_alike_are_said(one: str, other: str) -> None:
    (finding,) = similar(FILE, [one, other])
    said = str(finding)
    assert repr(one) in said or ascii(one) in said
    assert len({part for part in said.split("'") if part in (one, other)} | {ascii(one)}) >= 1


def test_labels_that_do_not_look_alike_are_not() -> None:
    assert similar(FILE, ["cat", "bat", "chat", "ё", "е", "é", "e", "हि", "हा", "0", "O", 1, 2]) == []


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_a_path_finds_its_file_in_either_form(tmp_path: Path, written: str, stored: str) -> None:
    path = "Grün/é 한/Ä.jpg"
    file = tmp_path / unicodedata.normalize(stored, path)
    file.parent.mkdir(parents=True)
    file.touch()
    (found,), notes = locate(tmp_path / "t.csv", [unicodedata.normalize(written, path)], tmp_path)
    assert Path(found).samefile(file)
    assert notes == []


@pytest.mark.skipif(os.name == "nt", reason="file names are text on Windows")
def test_a_file_name_in_gbk_is_found_by_its_text(tmp_path: Path) -> None:
    name = os.fsdecode("蘑菇.jpg".encode("gbk"))
    (tmp_path / name).touch()
    assert readable(name) == "蘑菇.jpg"
    assert locate(tmp_path / "t.csv", ["蘑菇.jpg"], tmp_path)[0] == [str(tmp_path / name)]
    assert readable(os.fsdecode(b"a\xff.jpg")) == "a\\xff.jpg"
    assert readable("a\ud800b").encode()


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["cat dog", "cat", "dog", "dog cat"], "multi-label"),
        (["a|b", "a", "b|c", "c"], "multi-label"),
        (["a|b", "b|c", "a|c"], "multi-label"),
        (["a,b", "b", "a"], "multi-label"),
        (["['cat', 'dog']", "['cat']", "['dog']"], "multi-label"),
        (["scab rust", "healthy", "scab", "rust complex", "complex"], "multi-label"),
        ([f"{at / 7:.3f}" for at in range(40)], "regression"),
        ([str(at * 3) for at in range(40)], "regression"),
        ([f"x{at}k" for at in range(6)], "captcha"),
        (["a", "b"], "captcha"),
    ],
)
def test_labels_of_another_task_are_said(labels: list[str], said: str) -> None:
    (finding,) = other_task(FILE, labels)
    assert said in str(finding)
    assert not finding.drops


@pytest.mark.parametrize(
    "labels",
    [
        ["cat", "dog"] * 3,
        ["0", "1", "2"] * 3,
        ["0.5", "1", "1.5"] * 3,
        ["black cat", "white cat", "black dog", "white dog"] * 2,
        ["Amanita muscaria", "Amanita phalloides", "Boletus edulis"] * 2,
        ["Paris, France", "Lyon, France", "Berlin"] * 2,
        ["0,1,3", "0,2"] * 4,
        ["C/C++", "Go"] * 2,
        [str(at % 100) for at in range(400)],
        [],
    ],
)
def test_classes_are_not_taken_for_another_task(labels: list[str]) -> None:
    assert other_task(FILE, labels) == []


def test_an_id_without_a_suffix_finds_its_picture_for_everyone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flyai_local.contest.competitions import hidden_rows
    from flyai_local.contest.register import add
    from recipe.data.reading import read_csv

    monkeypatch.setenv("FLYAI_LOCAL_HOME", str(tmp_path / "home"))
    lines = ["image_path,label"]
    for at in range(8):
        (tmp_path / f"p{at}.png").touch()
        lines.append(f"p{at},{'ab'[at % 2]}")
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [path.name for path in read_csv(tmp_path / "train.csv").paths] == [f"p{at}.png" for at in range(8)]
    found = hidden_rows(add("Own", tmp_path / "train.csv", tmp_path, hidden=0.5))
    assert found and all(picture.suffix == ".png" and picture.is_file() for picture, _ in found)
