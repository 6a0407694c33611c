"""Every command that a page, a message or a document proposes is one that the program takes as it is written."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from recipe import proposal
from recipe.__main__ import COMMANDS
from recipe.proposal import go_on, parsed, parser_of, proposed

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [*(ROOT / "recipe").rglob("*.py"), *(ROOT / "flyai_local").rglob("*.py"), *ROOT.glob("*.py")]
PAGES = [*(ROOT / "recipe").rglob("*.html"), *(ROOT / "recipe").rglob("*.md")]
DOCUMENTS = [ROOT / "README.md", ROOT / "README_zh.md", *(ROOT / "docs").glob("*.md")]
PROGRAM = r"(?:python3?|\.venv/bin/python) (?:-m (?:recipe|flyai_local)|main\.py)(?![\w.])"
QUOTED = re.compile(rf"`({PROGRAM}[^`\n]*)`|'({PROGRAM}[^'\n]*)'")
IN_A_BLOCK = re.compile(rf"^(?: {{4}}|\$ )?({PROGRAM}.*?)(?: {{2,}}.*)?$", re.MULTILINE)  # of a document
HOLE = "1"  # stands for what an f-string puts there


def texts(path: Path) -> list[str]:
    """The strings of a source file, what f-strings fill in as a 1; another file whole."""
    if path.suffix != ".py":
        return [path.read_text(encoding="utf-8")]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def written() -> list[tuple[str, str]]:
    """(file, command) of each that is written out rather than built."""
    found = set()
    for path in [*SOURCES, *PAGES, *DOCUMENTS]:
        for text in texts(path):
            for groups in QUOTED.findall(text):
                found.add((path.relative_to(ROOT).as_posix(), next(filter(None, groups)).strip()))
            blocks = [] if path.suffix == ".py" else IN_A_BLOCK.findall(text)
            found |= {(path.relative_to(ROOT).as_posix(), line.strip()) for line in blocks}
    return sorted(found)


def words_of(line: str) -> list[str]:
    """The words of a command, placeholders as something that can be read."""
    line = re.sub(r"\[[A-Z_]+ \.\.\.\]|\s#.*| > \S+$", "", line)
    return [re.sub(r"^([EBN]|M)$", "1", word) for word in shlex.split(line)]


def local_parser(name: str) -> argparse.ArgumentParser:
    front = importlib.import_module("flyai_local.__main__")
    return front._command_parser(name, importlib.import_module(f"flyai_local.commands.{name}"))


def check(line: str) -> None:
    """Raises ValueError where the program would refuse the line."""
    words = words_of(line)
    name, rest = (words[1], words[2:]) if words[1] == "main.py" else (words[2], words[3:])
    if not rest or rest[0] in ("--help", "COMMAND") or rest[-1] == "--help":
        return
    if name == "main.py":
        parsed(parser_of("main"), rest)
        return
    known = COMMANDS if name == "recipe" else importlib.import_module("flyai_local.__main__").COMMANDS
    if rest[0] not in known:
        raise ValueError(f"there is no command {rest[0]!r}")
    parser = parser_of(rest[0]) if name == "recipe" else local_parser(rest[0])
    parsed(parser, rest[1:])


@pytest.mark.parametrize(("file", "line"), written(), ids=lambda text: text[:60])
def test_what_is_written_out_can_be_typed(file, line):
    """A bare `python -m recipe predict` in prose names a command and proposes none."""
    mentions = len(words_of(line)) <= (2 if "main.py" in line else 4) and not line.startswith(" ")
    try:
        check(line)
    except ValueError as refusal:
        assert mentions and "required" in str(refusal), f"{file} proposes {line!r}: {refusal}"


def test_enough_is_looked_at():
    assert len(written()) > 80


def test_messages_build_what_they_propose():
    """No message of recipe writes a command out: help lines and docstrings, which are read beside the command, may."""
    spelled = []
    for path in (ROOT / "recipe").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        allowed = {id(part) for node in ast.walk(tree) for part in _documentation(node)}
        spelled += [
            f"{path.relative_to(ROOT)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and id(node) not in allowed
            and isinstance(node.value, str) and re.search(PROGRAM + " ", node.value + " ")
        ]  # fmt: skip
    assert [place for place in spelled if not place.startswith(WRITERS)] == []


WRITERS = (
    "recipe/__main__.py",
    "recipe/commands/docs.py",
    "recipe/commands/lr_find.py",
    "recipe/commands/readme.py",
    "recipe/sweep/page.py",
)  # programs' own names, generated documents, and the platform's download


def _documentation(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, ast.Call):
        return [
            part for word in node.keywords if word.arg in ("help", "description", "prog") for part in ast.walk(word)
        ]
    body = getattr(node, "body", None)
    first = body[0] if isinstance(body, list) and body else None
    return list(ast.walk(first)) if isinstance(first, ast.Expr) else []


def test_a_proposal_leaves_defaults_out_and_quotes_the_rest(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert proposed("report", folder=ROOT / "data/output/model").endswith("-m recipe report")
    line = proposed("audit", run_folder=Path("/tmp/my run"), image_column="-x")
    assert shlex.split(line)[3:] == ["audit", "--image-column=-x", "--run", "/tmp/my run"]
    assert shlex.split(proposed("tune", runs=[Path("-a"), ROOT / "b"], views=["hflip()", "vflip()"]))[3:] == [
        "tune", "./-a" if Path("-a").absolute().is_relative_to(ROOT) else "-a", "b",
        "--views", "hflip()", "--views", "vflip()",
    ]  # fmt: skip
    assert go_on(ROOT / "data/output/model").endswith("main.py --resume")


def test_a_proposal_that_would_fail_is_a_fault_of_its_place():
    with pytest.raises(ValueError, match="no option nonsense"):
        proposed("report", nonsense=1)
    with pytest.raises(ValueError, match="required"):
        proposed("tune")


def test_a_proposal_works_from_where_the_reader_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = proposed("names", family="reduction").replace(" python ", f" {shlex.quote(sys.executable)} ", 1)
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ohem" in done.stdout


def test_an_environment_that_was_not_entered_is_named(monkeypatch):
    monkeypatch.setattr(sys, "executable", str(ROOT / ".venv" / "bin" / "python"))
    monkeypatch.setattr(proposal.shutil, "which", lambda name: "/usr/bin/python")
    monkeypatch.chdir(ROOT)
    assert proposed("main") == f"{Path('.venv/bin/python')} main.py"
