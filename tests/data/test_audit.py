"""An audit from pictures on disk to page and tables, with everything planted that it should find."""

from __future__ import annotations

import csv
import html.parser
import json
import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from protocol.findings import summary
from recipe.__main__ import main
from recipe.config import Config
from recipe.data.audit.audit import Audit, audit, findings_of
from recipe.data.audit.page import write_audit
from recipe.data.reading import read_csv

CLASSES, PER_CLASS = 3, 12
COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])


def scene(label: int, seed: int) -> np.ndarray:
    """A picture whose mean colour tells its class."""
    noise = np.random.default_rng(seed).random((6, 8, 3)) * 160 - 80
    return (COLOURS[label] + cv2.resize(noise, (80, 60), interpolation=cv2.INTER_CUBIC)).clip(0, 255).astype(np.uint8)


class ColourNetwork:
    """Stands in for a pretrained network: its features are the mean colours."""

    short_side = 48
    config = Config.model_validate({"backbone": "tf_efficientnet_lite0", "image_size": 48, "probe_c": 1.0})

    def features(self, pictures, progress=None) -> np.ndarray:
        return np.array([pictures[row].mean(axis=(0, 1)) for row in range(len(pictures))], np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """36 pictures, and: a copy, a mirrored copy under another label, a truncated file, a missing one, odd modes, two
    wrong labels.
    """
    folder = tmp_path_factory.mktemp("planted")
    rows = []
    for number in range(CLASSES * PER_CLASS):
        label = number % CLASSES
        cv2.imwrite(str(folder / f"{number}.png"), scene(label, number)[..., ::-1])
        rows.append([f"{number}.png", "rgb"[(label + 1) % 3 if number in (4, 17) else label]])
    (folder / "copy.png").write_bytes((folder / "3.png").read_bytes())
    cv2.imwrite(str(folder / "mirrored.jpg"), scene(1, 7)[:, ::-1, ::-1])
    jpeg = cv2.imencode(".jpg", scene(0, 99))[1].tobytes()
    (folder / "short.jpg").write_bytes(jpeg[:-99])
    Image.fromarray(scene(0, 77)).convert("L").save(folder / "grey.jpg")
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHH", 8, 1, 0x0112, 3, 1, 6, 0)
    turned = cv2.imencode(".jpg", scene(0, 55)[..., ::-1])[1].tobytes()
    (folder / "turned.jpg").write_bytes(turned[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + turned[2:])
    rows += [
        ["copy.png", "r"],
        ["mirrored.jpg", "b"],
        ["short.jpg", "r"],
        ["missing.png", "r"],
        ["grey.jpg", "r"],
        ["turned.jpg", "r"],
    ]
    with open(folder / "train.csv", "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["image_path", "label"], *rows])
    (folder / "hidden").mkdir()
    cv2.imwrite(
        str(folder / "hidden" / "leak.jpg"), cv2.resize(scene(2, 5), (40, 30), interpolation=cv2.INTER_AREA)[..., ::-1]
    )
    cv2.imwrite(str(folder / "hidden" / "new.jpg"), scene(2, 500)[..., ::-1])
    (folder / "hidden" / "test.csv").write_text("image_path\nleak.jpg\nnew.jpg\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> Audit:
    hidden = [folder / "hidden" / "leak.jpg", folder / "hidden" / "new.jpg"]
    return audit(read_csv(folder / "train.csv"), hidden, ColourNetwork(), folds=3)  # type: ignore[arg-type]


def test_what_was_planted_is_found_and_nothing_else(found: Audit):
    names = [*found.table.names, "leak.jpg", "new.jpg"]
    assert {(names[pair.row], names[pair.other], pair.kind) for pair in found.pairs} == {
        ("3.png", "copy.png", "exact"),
        ("7.png", "mirrored.jpg", "mirrored"),
        ("5.png", "leak.jpg", "near"),
    }
    assert [names[row] for row in found.unreadable] == ["short.jpg", "missing.png"]
    assert {"4.png", "17.png"} <= {names[suspect.row] for suspect in found.suspects}
    assert found.suspects[0].margin < -0.5
    assert 0.8 < found.aware_accuracy <= 1


def test_findings_name_line_and_remedy(found: Audit):
    texts = [str(finding) for finding in findings_of(found)]
    assert any("line 40" in text and "truncated" in text for text in texts)
    assert any("7.png and mirrored.jpg are the same picture (mirrored), labelled 'g' and 'b'" in text for text in texts)
    assert any("5.png is near the same as" in text and "leak.jpg" in text for text in texts)
    assert len(texts) == 4


def test_the_facts_of_each_file(found: Audit):
    facts = {fact.path.name: fact for fact in found.facts}
    assert (facts["grey.jpg"].format, facts["grey.jpg"].mode) == ("JPEG", "grey")
    assert (facts["turned.jpg"].orientation, facts["3.png"].orientation) == (6, 1)
    assert (facts["3.png"].width, facts["3.png"].height, facts["3.png"].format) == (80, 60, "PNG")
    assert facts["3.png"].bytes == facts["3.png"].path.stat().st_size


class Page(html.parser.HTMLParser):
    """Collects what a page refers to, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.sources += [value for key, value in attrs if key in ("src", "href")]
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_self_contained(found: Audit, tmp_path: Path):
    text = write_audit(found, tmp_path / "audit").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert "http" not in text
    assert "prefers-color-scheme" in text
    for expected in ("2 in the second set", "short.jpg", "mirrored.jpg", "b, or g?", "leak.jpg"):
        assert expected in text


def test_what_must_be_mended_comes_before_what_does_no_harm(folder: Path, tmp_path: Path):
    """An empty label is a fault although it is found with the coding; GBK and backslashes are none."""
    table = f"image_path,label\n{folder}\\0.png,红\n{folder}\\1.png,绿\n{folder}\\2.png,\n"
    (tmp_path / "train.csv").write_bytes(table.encode("gbk"))
    found = audit(read_csv(tmp_path / "train.csv"))
    text = write_audit(found, tmp_path / "audit").read_text(encoding="utf-8")
    mend, harmless = text.index("<h2>To mend</h2>"), text.index("<h2>Noticed, and read all the same</h2>")
    assert mend < text.index("the label is empty") < harmless < text.index("read as GBK")
    assert harmless < text.index("hold backslashes")
    assert summary(found.table.findings).splitlines()[0] == "empty-label: 1"


def test_the_tables_hold_every_row(found: Audit, tmp_path: Path):
    write_audit(found, tmp_path)
    tables = {}
    for name in ("pictures", "duplicates", "suspects"):
        with open(tmp_path / f"{name}.csv", encoding="utf-8-sig", newline="") as stream:
            tables[name] = list(csv.DictReader(stream))
    assert len(tables["pictures"]) == len(found.facts) == 44
    assert [row["unreadable"] != "" for row in tables["pictures"]].count(True) == 2
    assert len(tables["duplicates"]) == 3
    assert {row["image_path"]: row["suggested"] for row in tables["suspects"]}["4.png"] == "g"


def test_names_and_labels_cannot_inject_markup(folder: Path, tmp_path: Path):
    (tmp_path / "<b>.png").write_bytes((folder / "0.png").read_bytes())
    (tmp_path / "1.png").write_bytes((folder / "1.png").read_bytes())
    (tmp_path / "train.csv").write_text(
        "image_path,label\n<b>.png,<script>alert(1)</script>\n1.png,b\n", encoding="utf-8"
    )
    text = write_audit(audit(read_csv(tmp_path / "train.csv")), tmp_path / "audit").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_too_few_rows_for_folds_are_said_and_not_raised(folder: Path, tmp_path: Path):
    (tmp_path / "train.csv").write_text(f"image_path,label\n{folder}/0.png,a\n{folder}/1.png,b\n", encoding="utf-8")
    found = audit(read_csv(tmp_path / "train.csv"), network=ColourNetwork())  # type: ignore[arg-type]
    assert found.suspects == []
    assert "no search for wrong labels" in found.note


def run(*words: object) -> int:
    return main(["audit", *map(str, words)])


def test_the_command_writes_and_says_what_it_found(folder: Path, tmp_path: Path, capsys):
    words = [
        "--csv",
        folder / "train.csv",
        "--against",
        folder / "hidden" / "test.csv",
        "--no-labels",
        "--out",
        tmp_path / "audit",
    ]
    assert run(*words) == 0
    said = capsys.readouterr().out
    assert "pictures 42 in 3 classes (11 to 18 each), 2 unreadable" in said
    assert "1 exact, 1 resized or saved anew, 1 mirrored; 1 under two labels, 1 in both sets" in said
    assert (tmp_path / "audit" / "audit.html").is_file()
    assert run(*words, "--strict") == 1
    assert run("--competition-folder", folder, "--no-labels", "--out", tmp_path / "again") == 0


def test_the_command_takes_the_probabilities_of_a_run(folder: Path, tmp_path: Path, capsys):
    table = read_csv(folder / "train.csv")
    probs = np.eye(3)[[(label + 1) % 3 if row == 8 else label for row, label in enumerate(table.labels)]]
    lines = ["image_path,label,p_b,p_g,p_r"] + [
        f"{name},x,{p[0]},{p[1]},{p[2]}" for name, p in zip(table.names, probs, strict=True)
    ]
    (tmp_path / "oof.csv").write_text("\n".join([*lines[:-1], "turned.jpg,x,,,"]), encoding="utf-8")
    assert run("--csv", folder / "train.csv", "--run", tmp_path, "--out", tmp_path / "audit") == 0
    assert "8.png" in (tmp_path / "audit" / "suspects.csv").read_text(encoding="utf-8")
    (tmp_path / "oof.csv").write_text("image_path,label,p_cat\n", encoding="utf-8")
    assert run("--csv", folder / "train.csv", "--run", tmp_path, "--out", tmp_path / "audit") == 1
    assert "trained with other classes" in capsys.readouterr().err


@pytest.fixture
def trained(folder: Path, tmp_path: Path) -> Path:
    """A run folder of the table, whose answers doubt row 8."""
    table = read_csv(folder / "train.csv")
    probs = np.eye(3)[[(label + 1) % 3 if row == 8 else label for row, label in enumerate(table.labels)]]
    lines = [f"{name},x,{p[0]},{p[1]},{p[2]}" for name, p in zip(table.names, probs, strict=True)]
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    (run_folder / "oof.csv").write_text("\n".join(["image_path,label,p_b,p_g,p_r", *lines]), encoding="utf-8")
    (run_folder / "run.json").write_text(json.dumps({"source": str(folder / "train.csv")}), encoding="utf-8")
    return run_folder


def test_a_run_alone_names_the_table(trained: Path, tmp_path: Path, capsys):
    assert run("--run", trained, "--out", tmp_path / "audit") == 0
    said = capsys.readouterr().out
    assert re.search(r"1 probably wrong \((\d+) of \1 judged by", said)


@pytest.mark.parametrize("moved", [False, True], ids=["the run's pictures lie there", "they have moved"])
def test_a_row_is_matched_by_its_file_however_it_is_written(trained: Path, folder: Path, tmp_path: Path, capsys, moved):
    """Absolute paths, backslashes and dots mean the same picture; a picture that the run does not know is counted."""
    table = read_csv(folder / "train.csv")
    if moved:
        (trained / "run.json").write_text(json.dumps({"source": "gone/train.csv"}), encoding="utf-8")
    styles = [lambda path: str(path), lambda path: f"..\\{folder.name}\\{path.relative_to(folder)}"]
    lines = [f"{styles[row % 2](path)},{table.values[label]}"
             for row, (path, label) in enumerate(zip(table.paths, table.labels, strict=True))]  # fmt: skip
    (folder / "new.jpg").write_bytes(Path(table.paths[0]).read_bytes())
    (folder / "other.csv").write_text("\n".join(["image_path,label", *lines, "new.jpg,r"]), encoding="utf-8")
    assert run("--csv", folder / "other.csv", "--run", trained, "--out", tmp_path / "audit") == 0
    said = capsys.readouterr().out
    assert f"1 probably wrong ({len(table)} of {len(table) + 1} judged by" in said
    assert "1 could not be judged" in said


def test_a_run_of_other_pictures_is_no_all_clear(trained: Path, folder: Path, tmp_path: Path, capsys):
    """None of the rows is the run's: that is refused, where "0 probably wrong" was said."""
    for name in "rgb":
        (folder / f"new_{name}.jpg").write_bytes(next(folder.rglob("*.png")).read_bytes())
    lines = [f"new_{name}.jpg,{name}" for name in "rgb"]
    (folder / "other.csv").write_text("\n".join(["image_path,label", *lines]), encoding="utf-8")
    assert run("--csv", folder / "other.csv", "--run", trained, "--out", tmp_path / "audit") == 1
    assert "none of the" in capsys.readouterr().err


def test_bad_arguments_are_refused_in_a_sentence(folder: Path, tmp_path: Path, capsys):
    for words, message in (
        (["--no-labels"], "Name a table with --csv"),
        (["--run", tmp_path], "cannot be read as a run"),
        (["--csv", tmp_path / "none.csv"], "There is no file or folder"),
        (["--csv", folder / "train.csv", "--run", tmp_path], "holds no oof.csv"),
        (
            ["--csv", folder / "train.csv", "--no-labels", "--against", folder / "train.csv", "--image-column", "path"],
            "no column 'path'",
        ),
    ):
        assert run(*words, "--out", tmp_path / "audit") == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "audit").exists()
