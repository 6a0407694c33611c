"""The documents are true: generated ones are current, commands exist with their options, links lead somewhere, both
READMEs agree.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.plain_files import read_json
from recipe.commands import docs, readme
from recipe.components.families import FAMILIES, family
from recipe.config import Config

ROOT = Path(__file__).resolve().parent.parent
DOCS = [ROOT / "README.md", ROOT / "README_zh.md", *sorted((ROOT / "docs").rglob("*.md"))]


HELP = {"main.py": ["--help", "all"], "recipe": ["--help", "all"]}


def commands(path: Path) -> list[str]:
    """The command lines of a document, without their comments."""
    lines = re.findall(
        r"^(?: {4}|\$ )((?:python3?|make|\.venv/bin/python) .+?)(?: {2,}#.*)?$",
        path.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return [line.strip() for line in lines]


def test_generated_documents_are_current():
    for name, text in docs.generated().items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, (
            f"docs/{name} is stale: run `python -m recipe docs`"
        )


@pytest.mark.parametrize("name", FAMILIES)
def test_every_component_has_a_first_line_and_a_source(name):
    for component in family(name):
        text = family(name)[component].__doc__ or ""
        first = text.strip().split("\n\n")[0].rstrip()
        assert first.endswith((".", ")")), component
        assert docs.paragraph(__import__("inspect").cleandoc(text), "Source"), f"{name} {component} names no source"


def test_every_setting_is_documented():
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in Config.model_fields)


@pytest.mark.parametrize("name", readme.READMES)
def test_the_readme_shows_the_closing_table_as_a_run_prints_it(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert readme.readmes_of(readme.FIGURES)[name] == text, f"{name} is stale: run `python -m recipe readme RUN`"
    assert f"]({readme.PICTURE.relative_to(ROOT).as_posix()})" in text


def test_the_picture_of_the_report_is_of_the_page_as_it_looks():
    assert readme.PICTURE.stat().st_size < 150_000
    found = read_json(readme.FIGURES)["looks"]
    assert found == readme.looks(), "docs/report.webp is stale: run `python -m recipe readme RUN`"


def test_both_readmes_give_the_same_commands():
    assert commands(ROOT / "README.md") == commands(ROOT / "README_zh.md")
    assert len(commands(ROOT / "README.md")) > 15


@pytest.mark.parametrize("line", sorted({line for path in DOCS for line in commands(path)}))
def test_every_command_exists_with_its_options(line):
    """`--help` of the very command names every option that a document gives it; files that a line runs exist."""
    words = shlex.split(line)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        return
    if words[1:2] == ["-m"] and words[2] in ("venv", "pip", "pytest"):
        assert all((ROOT / word).exists() for word in words if word.startswith("requirements"))
        return
    program = words[1:3] if words[1] == "-m" else words[1:2]
    rest = words[len(program) + 1 :]
    command = (
        rest[:1]
        if program in (["-m", "recipe"], ["-m", "flyai_local"]) and rest and not rest[0].startswith("-")
        else []
    )
    shown = subprocess.run(
        [sys.executable, *program, *command, *HELP.get(program[-1], ["--help"])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    for word in rest:
        option = word.split("=")[0]
        if re.match(r"--?[a-zA-Z]", word):
            assert re.search(rf"(^|[\s,\[]){re.escape(option)}\b", shown.stdout), (
                f"{option} is not an option of {line!r}"
            )
    assert all((ROOT / word).exists() for word in rest if word.startswith("examples/"))


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert "://" in target or (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_module_says_what_it_is():
    files = [path for package in ("recipe", "protocol", "flyai_local") for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 150
    assert not [path for path in files if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]


def test_the_architecture_names_only_what_exists():
    for name in re.findall(
        r"`((?:recipe|flyai_local|tests|docs|benchmarks|examples)/[^`* ]+)`",
        (ROOT / "docs" / "architecture.md").read_text("utf-8"),
    ):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("program", [("main.py",), ("-m", "recipe"), ("-m", "flyai_local")], ids=" ".join)
def test_help_documents_the_exit_codes(program):
    shown = subprocess.run([sys.executable, *program, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Exit codes" in shown.stdout or "exit codes" in shown.stdout
