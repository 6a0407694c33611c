"""The queue on SQLite and PostgreSQL: none run twice, none stuck, no late word taken. Real processes and kills.

The processes are those of benchmarks/site_queue.py; `python -m benchmarks.site queue kills` does the same with 2,000
and 1,000 runs.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from dataclasses import replace

import a_site  # noqa: F401 - sets Django up
import pytest
from django.conf import settings
from django.db import connections

from benchmarks.site_postgres import fresh_database
from benchmarks.site_queue import SCORE, Farm, killed, make, shared, told
from flyai_local.states import State
from flyai_site import queue
from flyai_site.models import Worker

pytest_plugins = ["a_site"]
LEASE = 1.0


def hold(told):
    """Take a run and keep it by beats until killed."""
    machine = Worker.objects.create(name="holder", token_hash="holder")
    run = queue.claim(machine)
    os.write(told, f"{run.attempt}".encode())
    while True:
        time.sleep(LEASE / 6)
        queue.beat(run.pk, run.attempt, machine)


def late():
    """Wait for the held run; returns attempt, seconds waited, and how many words of the first holder are refused."""
    first, other = Worker.objects.get(name="holder"), Worker.objects.create(name="second", token_hash="second")
    began, run = time.monotonic(), None
    while run is None:
        run = queue.claim(other)
        time.sleep(0.02)
    waited, refused = time.monotonic() - began, 0
    for word in (
        lambda: queue.beat(run.pk, 1, first),
        lambda: queue.place_log(run.pk, 1, first, 0, 5),
        lambda: queue.set_state(run.pk, 1, first, State.EVALUATING),
        lambda: queue.finish(run.pk, 1, first, State.SCORED, None, "", 1.0, 1.0, SCORE),
        lambda: queue.beat(run.pk, 2, first),
    ):
        try:
            word()
        except queue.LateError:
            refused += 1
    queue.finish(run.pk, 2, other, State.SCORED, None, "", 1.0, 1.0, SCORE)
    return [run.attempt, waited, refused]


@pytest.fixture(scope="module")
def migrated(server, django_ready):
    """The URL of a database of PostgreSQL with the site's tables, None where there is no server."""
    connections.close_all()
    return server and Farm(replace(settings.SITE, database=fresh_database(server))).options.database


@pytest.fixture(params=["sqlite", "postgresql"])
def farm(request, tmp_path, django_ready):
    connections.close_all()
    folder, url = tmp_path / "farm", ""
    folder.mkdir()
    if request.param == "postgresql":
        migrated = request.getfixturevalue("migrated")
        if migrated is None:
            pytest.skip("PostgreSQL or psycopg is not installed here")
        url = fresh_database(request.getfixturevalue("server"), migrated)
    else:
        shutil.copyfile(django_ready, folder / "site.sqlite")
    return Farm(replace(settings.SITE, folder=folder, database=url, lease_seconds=LEASE), migrated=True)


def test_four_workers_share_the_runs_and_none_is_taken_twice(farm):
    farm.options = replace(farm.options, lease_seconds=60.0)  # however busy the machine, nobody is late
    end = shared(farm, 40)
    assert end["failed_workers"] == 0 and end["ended"] == end["distinct"] == end["scores"] == 40
    assert end["states"] == {"scored": 40} and end["most_attempts"] == 1


def test_workers_that_are_killed_leave_no_run_behind_and_end_none_twice(farm):
    end = killed(farm, 12, kills=4, every=0.3)
    assert end["failed_workers"] == 0 and end["kills"] == 4 and sum(end["states"].values()) == 12
    assert set(end["states"]) <= {"scored", "crashed"} and end["scores"] == end["states"]["scored"]


def test_a_killed_workers_run_goes_to_the_next_and_its_late_words_are_refused(farm):
    farm.here(make, 1)
    hear, tell = os.pipe()
    holder = farm.start(hold, tell)
    assert os.read(hear, 1) == b"1"
    time.sleep(1.5 * LEASE)  # its beats keep the run beyond the first lease
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    attempt, waited, refused = farm.here(late)
    os.close(hear), os.close(tell)
    print(f"taken again {waited:.2f} s after the kill; the lease is {LEASE} s")
    assert (
        attempt == 2 and refused == 5 and farm.here(told) == {"states": {"scored": 1}, "scores": 1, "most_attempts": 2}
    )
