"""Every command that a page, a message, the README or a document proposes is executed as it is printed, on one small
trained run.

In this process, in a folder that stands for the project's: commands of `python -m recipe` whole, `main.py` up to its
plan (--dry-run), a sweep up to its list of rows (--list), since both would train what the tests of their own train.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
from pathlib import Path

import cv2
import pandas as pd
import pytest
from conftest import draw

from flyai_local.__main__ import main as local
from recipe import proposal
from recipe.__main__ import main
from recipe.cli import options
from recipe.prepare import prepare
from recipe.train import train

ROOT = Path(__file__).resolve().parent.parent
APP = """
competition: {id: Tiny}
recipe: {backbone: test_efficientnet, pretrained: false, image_size: 32, test_size: 32, epochs: 1, batch_size: 8,
         folds: 2, memory_format: contiguous, augment: hflip(), export: torchscript, trackers: "", head_init: random}
profiles: {cpu: {}, full: {}}
"""
RUN = Path("data/output/model")
SHORTER = {"tune": ["--views", "hflip()"], "lr-find": ["--steps", "12"], "sweep": ["--list"]}
ELSEWHERE = {  # commands of the README and the documents that other tests run, and which
    "-m pytest": "this suite", "-m venv": "tests/test_first_sight.py", "-m pip": "tests/test_first_sight.py",
    "-m flyai_local": "tests/flyai_local and tests/site, each command with its journey", "-c": "not a command",
    "-m recipe distill": "tests/tune/test_distill_command.py", "-m benchmarks": "tests/test_benchmarks.py",
    'main.py --trackers "swanlab': "tests/runs/test_trackers.py", "main.py --plugin": "tests/test_plugins.py",
    'main.py --loss "my_parts:': "tests/test_plugins.py", "-m recipe names loss --plugin": "tests/test_plugins.py",
}  # fmt: skip
LOCAL = ("competitions", "add", "board --competition")  # of `python -m flyai_local`, which take no run


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The folder, with pictures by class and by table, and a finished run where runs lie."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLYAI_RECIPE_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        (folder / "app.yaml").write_text(APP, encoding="utf-8")
        lines = ["image_path,label"]
        for row in range(36):
            place = Path("pictures", "abc"[row % 3], f"{row:03d}.png")
            place.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place), draw(row % 3, row))
            lines.append(f"{place.as_posix()},{'abc'[row % 3]}")
        (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        shutil.copytree("pictures", "data/input/Tiny/pictures")
        shutil.copy("train.csv", "data/input/Tiny")
        (folder / "examples").symlink_to(ROOT / "examples")
        main_py(["--output", str(RUN)], dry=False)
    return folder


@pytest.fixture
def there(project, monkeypatch):
    """The test stands in it, and so does what proposes."""
    monkeypatch.chdir(project)
    monkeypatch.setattr(proposal, "PROJECT", project)
    return project


def main_py(words: list[str], dry: bool = True) -> None:
    """main.py in this process."""
    goes_on = "--resume" in words or "--resume-anyway" in words  # the run is finished: nothing is trained
    asked = options(Path("app.yaml"), [*words, *(["--dry-run"] if dry and not goes_on else [])], RUN)
    source = asked.data or Path("data/input") / asked.app.competition.id
    train(prepare(asked, source), asked, asked.output or RUN)


def execute(line: str) -> None:
    """Runs a command line as a shell would take it; it must end well."""
    words = shlex.split(re.sub(r"\s#.*", "", line))
    if words[:1] == ["cd"]:
        assert Path(words[1]).samefile(Path.cwd())
        words = words[3:]
    if words[1] == "main.py":
        main_py(words[2:])
        return
    if words[1:3] == ["-m", "flyai_local"]:
        assert local(words[3:]) == 0, line
        return
    assert words[1:3] == ["-m", "recipe"], line
    assert main([*words[3:], *SHORTER.get(words[3], [])]) == 0, line


def printed(text: str) -> list[str]:
    """The commands in what was printed."""
    found = re.findall(r"(?:cd \S+ && )?\S*python3? (?:-m recipe|main\.py)[^`\n]*", text)
    return [re.sub(r" {2,}\(.*| writes it later.*|\.$", "", line).strip() for line in found]


def test_what_a_run_prints_and_its_pages_propose_runs(there, capsys):
    """The whole way of a person who types what she reads: training, report, audit, next."""
    main_py(["--output", "data/output/again"], dry=False)
    assert main(["runs"]) == 0
    said = printed(capsys.readouterr().out)
    page = (there / "data/output/again/report.html").read_text("utf-8")
    log = (there / "data/output/again/run.log").read_text("utf-8")
    proposed = {*said, *printed(log), *re.findall(r"<code>(\S*python3? -m recipe[^<]*)</code>", page)}
    assert {line.split("-m recipe ")[1].split()[0] for line in proposed if "-m recipe" in line} >= {"predict", "runs"}
    (there / "PICTURES").symlink_to("pictures")
    for line in sorted(proposed):
        execute(line)
    answers = pd.read_csv(there / "submission.csv")
    assert len(answers) == 36
    assert list(answers.columns) == ["image_path", "label"]


def sites() -> list[tuple[str, str, tuple[str, ...]]]:
    """(place, command, names of what is given) of each call of `proposed` in recipe."""
    found = []
    for file in sorted((ROOT / "recipe").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "proposed":
                names = tuple(word.arg for word in node.keywords if word.arg)
                place = f"{file.relative_to(ROOT)}:{node.lineno}"
                found.append((place, ast.literal_eval(node.args[0]), names))
    ours = [site for site in found if not site[0].startswith("recipe/proposal.py")]
    return [site for site in ours if site[1] != "report"]  # the README's line has the same words, and drawing is long


def given(name: str) -> object:
    """A value as the place would give it."""
    values = {
        "run_folder": RUN, "folder": RUN, "runs": [RUN], "against": Path("train.csv"), "temperature": True,
        "family": "backbone", "records": Path("data/output/runs.jsonl"), "competition": "Tiny", "pictures": "PICTURES",
        "out": "submission.csv", "image_column": "image_path", "label_column": "label", "resume": True, "output": None,
    }  # fmt: skip
    assert name in values, f"give this test a value of {name}"
    return values[name]


@pytest.mark.parametrize(("place", "command", "names"), sites(), ids=lambda value: str(value)[:60])
def test_each_place_that_proposes_proposes_what_runs(there, place, command, names):
    if not Path("PICTURES").exists():
        Path("PICTURES").symlink_to("pictures")
    execute(proposal.proposed(command, **{name: given(name) for name in names}))


def test_places_are_found():
    assert len(sites()) >= 15


def test_lr_find_proposes_what_runs(there, capsys):
    assert main(["lr-find", "--data", "pictures", "--steps", "12", "-b", "12", "--lowest", "1e-4"]) == 0
    for line in printed(capsys.readouterr().out):
        execute(line)


def lines_of(name: str) -> list[str]:
    """The commands of a document in blocks, as they are typed."""
    text = (ROOT / name).read_text("utf-8")
    found = re.findall(r"^(?: {4})?((?:\.venv/bin/)?python3? .+?)(?: {2,}.*)?$", text, re.M)
    lines = [line.replace(".venv/bin/python", "python").replace("python3", "python") for line in found]
    return [line for line in lines if not any(line.startswith(f"python {part}") for part in ELSEWHERE) or cheap(line)]


def cheap(line: str) -> bool:
    """Whether a command of the platform is done in a moment."""
    return line.startswith(tuple(f"python -m flyai_local {part}" for part in LOCAL))


@pytest.mark.parametrize("line", sorted({*lines_of("README.md"), *lines_of("README_zh.md")}))
def test_the_readme_can_be_typed(there, line):
    """In its own folder, with its own names: pictures, train.csv, data/output/model, examples."""
    if "--competition birds" in line:
        shutil.copytree("data/input/Tiny", "data/input/birds", dirs_exist_ok=True)
    if "data/output/other" in line:
        shutil.copytree(RUN, "data/output/other", dirs_exist_ok=True)
    execute(line)
    assert os.path.lexists(RUN)


NAMES = {"--data FOLDER": "--data pictures", "--competition NAME": "--competition Tiny"}  # that a reader fills in
DOCUMENTS = [f"docs/{place.relative_to(ROOT / 'docs')}" for place in sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if lines_of(name)])
def test_a_document_can_be_typed_line_by_line(there, document):
    """In its order, with what it takes to be there: a second set, a second run, Chinese names."""
    copies = {"pictures": "图片", "data/input/Tiny": "data/input/花卉"}
    copies |= {"data/input/Tiny/.": "data/input/MushroomSketch", str(RUN): "runs/b6"}
    for source, copy in copies.items():
        shutil.copytree(source, copy, dirs_exist_ok=True)
    shutil.rmtree("data/output/joined", ignore_errors=True)
    rows = (
        Path("train.csv").read_text("utf-8").replace("image_path,label", "图片路径,类别").replace("pictures/", "图片/")
    )
    Path("标注.csv").write_text(rows, encoding="gbk")
    shutil.copy("标注.csv" if "/zh/" in document else "train.csv", "test.csv")
    record = Path("data/output/runs.jsonl")
    record.write_text(record.read_text("utf-8").splitlines()[0] + "\n" + record.read_text("utf-8"), encoding="utf-8")
    for line in lines_of(document):
        for name, ours in NAMES.items():
            line = line.replace(name, ours)
        execute(line)
    assert os.path.lexists(RUN)
