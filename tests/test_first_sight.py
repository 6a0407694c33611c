"""What a person meets first is true: the Python that is asked for, and what a machine lacks."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import setup_check

ROOT = Path(__file__).resolve().parent.parent


def pins(name: str) -> list[Requirement]:
    """The packages of a requirements file."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(text) for line in lines if (text := line.split("#")[0].strip()) and not text.startswith("-")]


ASKED = setup_check.required_python((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION = f"{ASKED[0]}.{ASKED[1]}"


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-fast.txt", "requirements-serve.txt"])
def test_requires_python_suits_every_pin(file):
    """A Python that is let in is one that each pinned package can be installed on."""
    for pin in pins(file):
        takes = SpecifierSet(metadata(pin.name)["Requires-Python"] or "")
        assert takes.contains(VERSION), f"{pin} asks for Python {takes}: raise requires-python"


def test_requires_python_refuses_no_one_without_need():
    """The Python before is refused by some pin."""
    before = f"{ASKED[0]}.{ASKED[1] - 1}"
    files = ("requirements.txt", "requirements-fast.txt")
    limits = [SpecifierSet(metadata(pin.name)["Requires-Python"] or "") for file in files for pin in pins(file)]
    assert not all(limit.contains(before) for limit in limits)


@pytest.mark.parametrize("name", ["README.md", "README_zh.md"])
def test_the_readme_names_that_python(name):
    named = set(re.findall(r"Python (\d+\.\d+)", (ROOT / name).read_text(encoding="utf-8")))
    assert named == {VERSION}


@pytest.mark.parametrize(
    ("lack", "said"),
    [
        ({"version": (3, 8)}, "Python 3.11 or newer is needed, and this is 3.8"),
        ({"has": lambda module: module != "ensurepip"}, "-venv`"),
        ({"free_mb": 900}, "0.9 GB left: make room"),
        ({"temporary_mb": 100}, "TMPDIR="),
        ({"bits": 32}, "32 bits"),
    ],
    ids=["old Python", "no pip", "full disk", "full temporary folder", "32 bits"],
)
def test_what_a_machine_lacks_is_said_in_a_sentence(tmp_path, lack, said):
    plenty = {"version": ASKED, "free_mb": 1e6, "temporary_mb": 1e6, "has": lambda module: True, "bits": 64}
    assert setup_check.reasons(str(tmp_path / "not" / "there"), **plenty) == []
    found = setup_check.reasons(str(tmp_path), **{**plenty, **lack})
    assert len(found) == 1 and said in found[0]


def test_make_asks_before_it_downloads():
    planned = subprocess.run(
        ["make", "-n", "demo", "VENV=/nowhere/.venv"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    looks, downloads = (
        [n for n, line in enumerate(planned) if word in line] for word in ("setup_check.py", "pip install")
    )
    assert looks and downloads and looks[0] < downloads[0]


def test_the_look_runs_as_a_file_of_its_own():
    words = [sys.executable, "-I", "setup_check.py", "/"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode in (0, 1) and b"Traceback" not in done.stderr
