"""`make clean` removes what can be made again, and nothing else; `make translations` runs from a bare environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flyai_local.contest.competitions import EMBEDDED

ROOT = Path(__file__).resolve().parent.parent
REMADE = (
    ".venv/bin/python",
    "build/lib/main.py",
    ".pytest_cache/seen",
    "recipe/__pycache__/train.pyc",
    "recipe/training/__pycache__/fold.pyc",
    *(f"data/input/{name}/train.csv" for name in EMBEDDED),
)
KEPT = (
    "data/output/model/fold0/model.safetensors",
    "data/output/runs.jsonl",
    "data/output/model/__pycache__/notes",
    "data/input/Mushroom4/train.csv",
    "data/mine.csv",
    "recipe/training/fold.py",
    "dist/submission.zip",
    "submission.zip",
    "app.yaml",
)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is absent")
def test_clean_leaves_runs_and_pictures_of_ones_own(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in (*REMADE, *KEPT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for _ in range(2):  # the second time there is nothing to remove
        subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
        left = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
        assert left == {"Makefile", *KEPT}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is absent")
def test_translations_are_brought_up_to_date_and_are_so_already(tmp_path):
    for name in ("recipe", "protocol", "flyai_local", "flyai_site", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "corpus"))
    for file in (*ROOT.glob("*.py"), ROOT / "Makefile"):
        shutil.copy(file, tmp_path)
    call = ["make", "--no-print-directory", f"PY={sys.executable}", "--old-file=.venv/ready-dev", "translations"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr
    for file in ("flyai.po", "flyai.mo"):
        made = tmp_path / "protocol" / "locale" / "zh" / "LC_MESSAGES" / file
        assert made.read_bytes() == (ROOT / made.relative_to(tmp_path)).read_bytes()
