"""Starting several processes as one training: their places, their signals, and the one exit code of them all."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

from recipe.system.processes import launch
from recipe.system.processes.launch import environment, run_processes
from recipe.system.processes.world import RENDEZVOUS, in_world

RANK = "import os, sys, time, signal\nrank, size = int(os.environ['RANK']), int(os.environ['WORLD_SIZE'])\n"
HEARS = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
open(f'{sys.argv[1]}/{rank}', 'w').close()
time.sleep(60)
"""


def ended(program, tmp_path, count=2):
    """The exit code of a program in `count` processes."""
    return run_processes([sys.executable, "-c", RANK + program, str(tmp_path)], count)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("", 0),
        ("sys.exit(1)", 1),
        ("sys.exit(143)", 143),
        ("sys.exit(1 if rank else 130)", 130),  # what the first process says counts
        ("sys.exit(3 if rank else 0)", 0),  # it was done
        ("sys.exit(2 if rank == 2 else 1)", 1),
    ],
)
def test_the_exit_code_of_all(tmp_path, program, code):
    assert ended(program, tmp_path, 3) == code


def test_a_process_that_is_killed_is_named_and_the_others_have_time_to_end(tmp_path, capfd):
    program = "os.kill(os.getpid(), signal.SIGKILL) if rank else (time.sleep(0.3), sys.exit(1))"
    assert ended(program, tmp_path) == 1
    assert "process 2 of 2 was ended by SIGKILL" in capfd.readouterr().err


def test_those_that_do_not_notice_are_asked_and_then_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "GRACE", 0.3)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if sys.platform != "win32" else ""
    began = time.monotonic()
    assert ended(f"{deaf}sys.exit(1) if rank else time.sleep(60)", tmp_path) == 1
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_parent_reaches_each_once(tmp_path, number):
    """In a process of its own: a signal that came too late would end the tests."""
    heard = HEARS.replace("SIGTERM", signal.Signals(number).name).replace("143", str(128 + number))
    words = [sys.executable, "-c", RANK + heard, str(tmp_path)]
    starts = f"from recipe.system.processes.launch import run_processes; raise SystemExit(run_processes({words!r}, 2))"
    parent = subprocess.Popen([sys.executable, "-c", starts], cwd=ROOT)
    while len(list(tmp_path.iterdir())) < 2 and parent.poll() is None:
        time.sleep(0.02)
    parent.send_signal(number)
    assert parent.wait(60) == 128 + number


def test_the_cores_are_shared_and_the_user_s_word_stands():
    told = environment(1, 2, Path("meeting"), {"PATH": "p"})
    assert in_world(told) and told["RANK"] == "1" and told[RENDEZVOUS] == "meeting"
    assert int(told["OMP_NUM_THREADS"]) >= 1
    assert environment(0, 2, Path("m"), {"OMP_NUM_THREADS": "7"})["OMP_NUM_THREADS"] == "7"


@pytest.mark.parametrize(
    "variables",
    [{}, {"RANK": "0"}, {"RANK": "0", "WORLD_SIZE": "2"}, {"RANK": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "h"},
     {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "h"}],
)  # fmt: skip
def test_what_others_put_into_the_environment_makes_no_world(variables):
    assert not in_world(variables)


def test_starting_several_needs_no_torch():
    code = "import recipe.system.processes.launch, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
