"""What fuzzing found once stays mended, and the fuzzer finds what is planted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import fuzz, fuzz_child
from benchmarks.fuzz import Seat, save
from benchmarks.fuzz_platform import TARGETS
from benchmarks.fuzz_targets import CORPUS

FOUND = [(name, path) for name in TARGETS for path in sorted((CORPUS / name).glob("*"))]
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def target(request, tmp_path, monkeypatch):
    """A target, with what it changes in this process undone afterwards."""
    from recipe.pictures import decode
    from recipe.runs import checkpoint

    for module, name in ((decode, "MAX_PIXELS"), (checkpoint, "build")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"])
    return TARGETS[request.param](tmp_path)


@pytest.mark.parametrize(
    ("target", "path"), FOUND, ids=[f"{name}-{path.name}" for name, path in FOUND], indirect=["target"]
)
def test_what_was_found_is_refused_in_words(target, path):
    try:
        target.read(path.read_bytes())
    except target.expected as error:
        assert str(error)


@pytest.mark.parametrize("target", TARGETS, indirect=True)
def test_whole_files_are_read(target):
    for data in target.made().values():
        target.read(data)


@pytest.mark.parametrize(
    ("fault", "ended"),
    [
        ("time.sleep(60)", "hang"),
        ("os.kill(os.getpid(), 11)", "signal11"),
        ("os._exit(3)", "exit3"),
        ("held = bytearray(200 * 2**20); time.sleep(60)", "memory"),
        ("seat.end()", ""),
    ],
)
def test_hangs_crashes_and_memory_are_seen_from_outside(tmp_path, monkeypatch, fault, ended):
    monkeypatch.setattr(fuzz, "HANG_SECONDS", 30.0 if ended == "memory" else 0.3)
    monkeypatch.setattr(fuzz, "MEMORY_MB", 150)
    seat = fuzz.Seat(tmp_path / "seat")
    program = (
        "import os, pathlib, sys, time; from benchmarks.fuzz import Seat; seat = "
        f"Seat(pathlib.Path(sys.argv[1])); seat.begin(b'input'); {fault}"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path / "seat"], cwd=ROOT) as child:
        assert fuzz.watch(child, seat, time.monotonic() + 60) == ended
        assert seat.input == (b"" if ended == "" else b"input")
        child.kill()


def test_an_exception_that_no_reader_names_is_a_finding(tmp_path, monkeypatch):
    class Faulty(TARGETS["csv"]):
        def read(self, data):
            if b"\xff" in data:
                raise KeyError(1)
            super().read(data)

    monkeypatch.setitem(TARGETS, "csv", Faulty)
    monkeypatch.setitem(sys.modules, "atheris", None)  # random mutations end in this process
    monkeypatch.setattr(
        sys, "argv", ["fuzz_child", "csv", str(tmp_path), str(tmp_path / "corpus"), str(tmp_path / "found"), "1", "1"]
    )
    fuzz_child.main()
    (finding,) = (tmp_path / "found").iterdir()
    assert finding.name.startswith("csv-KeyError-test_fuzz-")
    assert b"\xff" in finding.read_bytes()


def test_the_seat_outlives_its_process(tmp_path):
    seat = Seat(tmp_path / "seat")
    seat.begin(b"input")
    other = Seat(tmp_path / "seat")
    assert (other.count, other.input, other.seconds > 0) == (0, b"input", True)
    seat.end()
    assert (other.count, other.input, other.seconds) == (1, b"", 0.0)


def test_a_kind_of_finding_is_kept_once(tmp_path, capsys):
    for data in (b"a", b"b"):
        save(tmp_path / "found", "csv-KeyError-x-1", data)
    assert len(list((tmp_path / "found").iterdir())) == 1
    assert capsys.readouterr().out.count("finding") == 1
