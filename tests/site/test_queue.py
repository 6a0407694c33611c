"""The queue on SQLite and PostgreSQL: none run twice, none stuck, no late word taken. Real processes and kills."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path

import a_site  # noqa: F401 - sets Django up
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from flyai_local.states import State
from flyai_site import queue
from flyai_site.models import Contest, Participant, Run, Score, Submission, Worker
from flyai_site.settings import database

pytest_plugins = ["a_site"]
LEASE = 2.0  # of the site in a_site.py
SCORE = {"metric": "accuracy", "total": 1.0, "public": 1.0, "private": 1.0, "per_class": {}, "public_per_class": {}}


def make(count):
    """A contest with that many runs in the queue."""
    user = User.objects.create(username="u")
    now = timezone.now()
    contest = Contest.objects.create(
        slug="c", title="c", image_column="i", label_column="l", metric="accuracy", train_rows=1, hidden_rows=1,
        data_sha256="0" * 64, public_sha256="0" * 64, opens=now, closes=now, reveals=now, owner=user,
    )  # fmt: skip
    who = Participant.objects.create(contest=contest, name="u")
    one = {"participant": who, "user": user, "sha256": "0" * 64, "size_bytes": 1, "arrived": now}
    made = Submission.objects.bulk_create(Submission(**one) for _ in range(count))
    Run.objects.bulk_create(Run(submission=submission, queued=now) for submission in made)


def work():
    """Claim and end runs until all have ended; returns their numbers and the seconds of each claim."""
    machine = Worker.objects.create(name=f"w{os.getpid()}", token_hash=f"w{os.getpid()}")
    taken, seconds = [], []
    while Run.objects.exclude(state__in=["scored", "crashed"]).exists():
        began = time.perf_counter()
        run = queue.claim(machine)
        if run is None:
            time.sleep(0.05)
            continue
        seconds.append(time.perf_counter() - began)
        with contextlib.suppress(queue.LateError):  # a machine so busy that the lease went by: another has it
            queue.finish(run.pk, run.attempt, machine, State.SCORED, None, "", 0.1, 1.0, SCORE)
            taken.append(run.pk)
    return [taken, seconds]


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


def told():
    """What the table says in the end."""
    runs = Run.objects.all()
    attempts = max(runs.values_list("attempt", flat=True))
    return [sorted(set(runs.values_list("state", flat=True))), runs.count(), Score.objects.count(), attempts]


class Farm:
    """A database, and processes (forks of this one) that work on it."""

    def __init__(self, options):
        self.options = options
        self.here(lambda: call_command("migrate", verbosity=0))

    def start(self, deed, *given, result=None):
        """A process that does the deed and writes its result as JSON."""
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            point(self.options)
            value = deed(*given)
            if result is not None:
                result.write_text(json.dumps(value))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def here(self, deed, *given):
        """Do the deed in a process and return its result."""
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "result"
            assert os.waitpid(self.start(deed, *given, result=result), 0)[1] == 0
            return json.loads(result.read_text())


def point(options):
    """Turn this process to another database, of another kind even."""
    settings.SITE = options
    for alias in list(connections.settings):
        connections.settings[alias] = connections.configure_settings({"default": database(options)})["default"]
    with contextlib.suppress(AttributeError):
        del connections["default"]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """The URL of a PostgreSQL of this test's own, or None where there is none."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb") or next((str(p / "initdb") for p in programs if (p / "initdb").exists()), None)
    try:
        import psycopg  # noqa: F401
    except ImportError:
        found = None
    if found is None:
        yield None
        return
    bin_folder = Path(found).resolve().parent
    data = Path("/tmp") / f"flyai-pg-{os.getpid()}"  # the server's user must reach it
    data.mkdir(mode=0o700)
    drop = []
    if os.getuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        drop = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    port = 20000 + os.getpid() % 20000
    subprocess.run([*drop, str(bin_folder / "initdb"), "-D", str(data / "db"), "-A", "trust", "-U", "flyai"],
                   check=True, capture_output=True, cwd="/")  # fmt: skip
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    server = [*drop, str(bin_folder / "pg_ctl"), "-D", str(data / "db"), "-w"]
    subprocess.run([*server, "-l", str(data / "log"), "-o", options, "start"],
                   check=True, capture_output=True, cwd="/")  # fmt: skip
    yield f"postgresql://flyai@127.0.0.1:{port}/"
    subprocess.run([*server, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/")
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def farm(request, tmp_path, postgres, django_ready):
    connections.close_all()
    folder = tmp_path / "farm"
    folder.mkdir()
    if request.param == "sqlite":
        return Farm(replace(settings.SITE, folder=folder, database=""))
    if postgres is None:
        pytest.skip("PostgreSQL or psycopg is not installed here")
    import psycopg

    name = f"q{time.time_ns()}"
    with psycopg.connect(postgres + "postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return Farm(replace(settings.SITE, folder=folder, database=postgres + name))


JOBS = int(os.environ.get("FLYAI_QUEUE_JOBS", "60"))


def test_four_workers_share_the_runs_and_none_is_taken_twice(farm, tmp_path):
    farm.options = replace(farm.options, lease_seconds=60.0)  # however busy the machine, nobody is late
    farm.here(make, JOBS)
    began = time.monotonic()
    results = [tmp_path / str(at) for at in range(4)]
    pids = [farm.start(work, result=result) for result in results]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    seconds = time.monotonic() - began
    each = [json.loads(result.read_text()) for result in results]
    taken = [number for numbers, _ in each for number in numbers]
    claims = sorted(1000 * one for _, times in each for one in times)
    print(f"{JOBS} runs, 4 workers, {JOBS / seconds:.0f} a second; claim p50 {claims[len(claims) // 2]:.1f} ms, "
          f"p95 {claims[int(0.95 * len(claims))]:.1f} ms")  # fmt: skip
    assert len(taken) == len(set(taken)) == JOBS
    assert farm.here(told) == [["scored"], JOBS, JOBS, 1]


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
    assert attempt == 2 and refused == 5 and farm.here(told) == [["scored"], 1, 1, 2]


@pytest.mark.slow
def test_a_thousand_runs_under_a_kill_each_second_end_once(farm):
    jobs, seconds = int(os.environ.get("FLYAI_QUEUE_KILLED", "1000")), 60
    farm.here(make, jobs)
    pids, kills, until = [farm.start(slow_work) for _ in range(4)], 0, time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(1.0)
        at = kills % 4
        os.kill(pids[at], signal.SIGKILL)
        os.waitpid(pids[at], 0)
        pids[at] = farm.start(slow_work)
        kills += 1
    for pid in pids:
        os.waitpid(pid, 0)
    states, count, scores, attempts = farm.here(told)
    print(f"{count} runs, {kills} kills: {states}, {scores} scores, most attempts {attempts}")
    assert states in (["scored"], ["crashed", "scored"]) and count == jobs and kills >= seconds / 2


def slow_work():
    """As `work`, with some time between claim and end, so that kills fall between them."""
    finish = queue.finish

    def slowly(*given):
        time.sleep(0.1)
        finish(*given)

    queue.finish = slowly
    return work()
