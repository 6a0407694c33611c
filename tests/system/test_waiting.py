"""Idle threads sleep, whichever door one comes in by, and the user's own choice stands."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from flyai_local.box.environment import Layout, variables
from protocol.waiting import SPINS, VARIABLES, waiting_asleep

ROOT = Path(__file__).resolve().parents[2]
DOORS = ["recipe", "prediction", "main", "recipe.__main__"]


def openmp_says(statement: str, **given: str) -> str:
    """What the OpenMP library that torch brings prints of the settings it has read."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    library = next(iter(Path(str(find_spec("torch").origin)).parent.glob("lib/libgomp*")), None)
    if library is None:
        pytest.skip("this torch brings another OpenMP library")
    done = subprocess.run(
        [sys.executable, "-c", f"import ctypes\n{statement}\nctypes.CDLL({str(library)!r})"],
        cwd=ROOT,
        env=environment | given | {"OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems bring other OpenMP libraries, with other reports")
@pytest.mark.parametrize("door", DOORS)
def test_openmp_has_read_that_threads_sleep(door):
    said = openmp_says(f"import {door}")
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in said and f"GOMP_SPINCOUNT = '{SPINS}'" in said


@pytest.mark.skipif(sys.platform != "linux", reason="other systems bring other OpenMP libraries, with other reports")
def test_a_choice_of_the_user_stands():
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in openmp_says("import recipe", OMP_WAIT_POLICY="ACTIVE")
    assert "GOMP_SPINCOUNT = '500'" in openmp_says("import recipe", GOMP_SPINCOUNT="500")


@pytest.mark.parametrize("name", VARIABLES)
def test_any_of_the_variables_decides_alone(name):
    assert waiting_asleep({}) and not waiting_asleep({name: "1"})


def test_a_submission_s_process_is_told_the_same(monkeypatch, tmp_path):
    layout = Layout(tmp_path, tmp_path, tmp_path, tmp_path, None, Path(sys.executable))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert variables(layout, "mark", offline=True)["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    told = variables(layout, "mark", offline=True)
    assert told["GOMP_SPINCOUNT"] == "7" and "OMP_WAIT_POLICY" not in told
