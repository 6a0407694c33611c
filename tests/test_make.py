"""`make clean` removes what can be made again, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
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
