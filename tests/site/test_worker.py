"""The worker's own life: what ends it, and what ends the run that it holds."""

from __future__ import annotations

import os
import signal
import time

import a_site  # noqa: F401 - sets Django up
import pytest
from a_host import LONG, Host, Person, add_leaves, until

from flyai_local.remote.site import RefusedError, UnreachableError
from flyai_site.worker.held import Held
from flyai_site.worker.loop import HOST, serve

pytest_plugins = ["a_site"]


class Answering:
    """A site whose every answer is the given error."""

    def __init__(self, error):
        self.error, self.asked = error, 0

    def ask(self, *given, **more):
        self.asked += 1
        raise self.error


@pytest.mark.parametrize("status", [409, 401])
def test_a_run_stops_when_it_is_anothers_or_the_worker_is_retired(status):
    with pytest.raises(KeyboardInterrupt), Held(Answering(RefusedError("no", status)), 1, 1, 0.6) as held:
        held.say("a line")
        time.sleep(LONG)
    assert held.lost


def test_a_run_goes_on_while_the_site_is_away_or_fails():
    for error in (UnreachableError("away"), RefusedError("broken", 500)):
        site = Answering(error)
        with Held(site, 1, 1, 0.6) as held:
            held.say("a line")
            until(lambda: site.asked >= 2)  # noqa: B023 - within this turn
        assert not held.lost


def test_a_hosts_worker_ends_with_its_host_and_another_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYAI_LOCAL_HOME", str(tmp_path))
    said = []
    monkeypatch.setenv(HOST, "1" if os.getppid() != 1 else "2")  # somebody else started this process
    assert serve(Answering(UnreachableError("away")), said.append, idle=0.01) == 0
    assert HOST not in os.environ  # what it starts is not the host's
    monkeypatch.setattr("flyai_site.worker.loop.time", Slept(3))
    with pytest.raises(Slept.EnoughError):
        serve(Answering(UnreachableError("away")), said.append, idle=0.01)
    assert said.count("away") >= 3


class Slept:
    """Instead of time: ends at the given sleep."""

    class EnoughError(Exception):
        """Slept often enough."""

    def __init__(self, times):
        self.times = times

    def sleep(self, seconds):
        self.times -= 1
        if not self.times:
            raise Slept.EnoughError


def test_a_site_that_was_killed_comes_back_with_a_worker(tmp_path, pictures, monkeypatch):
    home = tmp_path / "home"
    add_leaves(home, pictures, tmp_path, monkeypatch)
    first = Host(home, "--contest", "leaves", "--kind", "answers", "--nice", "3")
    password = first.password
    workers = lambda: [pid for pid in os.listdir("/proc") if pid.isdigit() and _is_worker(pid, home)]  # noqa: E731, PTH208
    own = os.getpriority(os.PRIO_PROCESS, 0)
    until(lambda: [os.getpriority(os.PRIO_PROCESS, int(pid)) for pid in workers()] == [min(19, own + 3)])
    first.process.send_signal(signal.SIGKILL)
    first.process.communicate(timeout=LONG)
    second = Host(home)  # on another port: the former worker asks in vain
    try:
        olga = Person(second.url)
        olga.post("/login", "/login", name="organiser", password=password)
        olga.post("/c/leaves", "/c/leaves/join", name="O")
        table = tmp_path / "a.csv"
        table.write_text("id,label\n")
        page = olga.post("/c/leaves/submit", "/c/leaves/submit", {"file": table})
        assert "queue" in page
        until(lambda: "wrong-count" in olga.get("/s/1"))
    finally:
        second.stop()
    until(lambda: not workers())


def _is_worker(pid, home):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"FLYAI_LOCAL_HOME={home}/site/workers".encode() in file.read()
    except OSError:
        return False
