"""Real signals against real processes: SIGKILL at random moments and inside writes, SIGTERM and Ctrl-C, a full disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from recipe.system.atomic import CheckpointError
from recipe.system.disk import RESERVE, RoomWatch, check_room, free_bytes, needed_bytes
from recipe.system.stopping import Stop, graceful_stop

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the killed processes are forked, which Windows cannot")


@pytest.mark.slow
def test_twenty_kills_leave_no_trace(tmp_path):
    """One training, killed until it has been killed twenty times or is done; then it equals the uninterrupted one."""
    from benchmarks import killed

    data, chance = killed.draw_pictures(tmp_path / "data"), random.Random(1)
    begin = time.monotonic()
    assert killed.ended(killed.start(data, tmp_path / "whole", 1)) == 0
    seconds, kills, code = time.monotonic() - begin, 0, -1
    while code < 0 and kills < 20:
        code = killed.killed_at(killed.start(data, tmp_path / "run", 1 + kills % 2), chance.uniform(0, seconds / 2))
        kills += code == -signal.SIGKILL
    assert code == 0 or killed.ended(killed.start(data, tmp_path / "run", 1)) == 0
    assert killed.differing(tmp_path / "whole", tmp_path / "run") == []
    assert kills > 1


@pytest.mark.parametrize("fault", ["dies_in_write", "dies_before_rename", "dies_after_rename"])
def test_a_kill_inside_a_write_leaves_no_trace(tmp_path, fault):
    from benchmarks import killed

    data = killed.draw_pictures(tmp_path / "data", 18)
    assert killed.ended(killed.start(data, tmp_path / "whole", 1)) == 0
    assert killed.ended(killed.start(data, tmp_path / "run", 1, getattr(killed, fault)(4))) == -signal.SIGKILL
    assert killed.ended(killed.start(data, tmp_path / "run", 1)) == 0
    assert killed.differing(tmp_path / "whole", tmp_path / "run") == []


TWO_SIGNALS = """
import os, signal, sys, time
from recipe.system.stopping import Stopped, graceful_stop
number = int(sys.argv[1])
before = signal.getsignal(number)
try:
    with graceful_stop() as stop:
        stop.check()
        os.kill(os.getpid(), number)
        try:
            stop.check()
        except Stopped:
            print("asked")
        os.kill(os.getpid(), number)
        time.sleep(60)
except Stopped as ended:
    print(ended.code, signal.getsignal(number) is before)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_is_a_request_and_the_second_an_order(number):
    """In a process of its own: one that it does not hear would end the tests."""
    call = [sys.executable, "-c", TWO_SIGNALS, str(int(number))]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    said, asked, ended = done.stdout.splitlines()
    assert "once more stops at once" in said, done.stderr
    assert (done.returncode, asked, ended) == (0, "asked", f"{128 + number} True"), done.stderr


def test_in_another_thread_signals_are_left_alone():
    found = []

    def work():
        with graceful_stop() as stop:
            found.append((signal.getsignal(signal.SIGTERM), stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0][0] is signal.getsignal(signal.SIGTERM)
    assert isinstance(found[0][1], Stop)


def test_too_little_room_is_said_before_the_run(tmp_path):
    assert needed_bytes(100, 5, 4) - needed_bytes(100, 4, 4) == 100
    check_room(tmp_path / "not yet there", 1)
    with pytest.raises(CheckpointError, match=r"needs about \d+ MB in .* and \d+ MB are free"):
        check_room(tmp_path, 2 * free_bytes(tmp_path))


def test_a_disk_that_fills_up_is_told_once(tmp_path, monkeypatch):
    free, said = [RESERVE + 200], []
    monkeypatch.setattr("recipe.system.disk.free_bytes", lambda folder: free[0])
    watch = RoomWatch(tmp_path, said.append)
    watch.saved(100)
    assert said == []  # a state and the best weights still fit, and the reserve
    free[0] -= 1
    watch.saved(100)
    watch.saved(100)
    assert len(said) == 1 and "the disk fills up" in said[0] and "--resume" in said[0]
