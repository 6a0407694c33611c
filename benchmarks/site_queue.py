"""The contest site's queue under several worker processes, on SQLite and on PostgreSQL, with and without kills.

The workers are forks of this process that claim and end runs by flyai_site/queue.py itself; nothing is trained.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flyai_site.settings import Options, database

__all__ = ["WORKERS", "Farm", "killed", "make", "shared", "told", "work"]

WORKERS = 4
WORK_SECONDS = 0.25  # between claim and end, where workers are killed: most kills fall there
SCORE = {"metric": "accuracy", "total": 1.0, "public": 1.0, "private": 1.0, "per_class": {}, "public_per_class": {}}


class Farm:
    """A database, and processes (forks of this one) that work on it."""

    def __init__(self, options: Options, migrated: bool = False) -> None:
        from django.core.management import call_command

        self.options = options
        if not migrated:
            self.here(lambda: call_command("migrate", verbosity=0))

    def start(self, deed: Callable[..., Any], *given: Any, result: Path | None = None) -> int:
        """A process that does the deed and writes its result as JSON; returns its number."""
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            _point(self.options)
            value = deed(*given)
            if result is not None:
                result.write_text(json.dumps(value))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def here(self, deed: Callable[..., Any], *given: Any) -> Any:
        """Do the deed in a process and return its result."""
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "result"
            if os.waitpid(self.start(deed, *given, result=result), 0)[1]:
                raise SystemExit("a process of the queue's bench failed: its trace stands above")
            return json.loads(result.read_text())


def shared(farm: Farm, jobs: int) -> dict[str, Any]:
    """Four workers share the runs: which were taken, how many a second, how long a claim took; and the table's word."""
    farm.here(make, jobs)
    began, spent = time.monotonic(), _spent()
    with tempfile.TemporaryDirectory() as folder:
        results = [Path(folder) / str(at) for at in range(WORKERS)]
        pids = [farm.start(work, 0.0, result=result) for result in results]
        codes = [os.waitpid(pid, 0)[1] for pid in pids]
        seconds, spent = time.monotonic() - began, _spent() - spent
        each = [json.loads(result.read_text()) for result in results]
    taken = [number for numbers, _ in each for number in numbers]
    claims = sorted(1000 * one for _, times in each for one in times)
    return {
        "jobs": jobs,
        "a_second": round(jobs / seconds),
        "worker_cpu_ms_a_run": round(1000 * spent / jobs, 1),
        "claim_p50_ms": round(claims[len(claims) // 2], 1),
        "claim_p95_ms": round(claims[int(0.95 * len(claims))], 1),
        "failed_workers": sum(map(bool, codes)),
        "ended": len(taken),
        "distinct": len(set(taken)),
        **farm.here(told),
    }


def _spent() -> float:
    """Processor seconds of all processes of ours that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def killed(farm: Farm, jobs: int, kills: int, every: float) -> dict[str, Any]:
    """Four workers, one of them killed each `every` seconds and replaced; then they end what is left."""
    farm.here(make, jobs)
    pids, began = [farm.start(work, WORK_SECONDS) for _ in range(WORKERS)], time.monotonic()
    for kill in range(kills):
        time.sleep(every)
        at = kill % WORKERS
        os.kill(pids[at], signal.SIGKILL)
        os.waitpid(pids[at], 0)
        pids[at] = farm.start(work, WORK_SECONDS)
    codes = [os.waitpid(pid, 0)[1] for pid in pids]
    return {"jobs": jobs, "kills": kills, "seconds": round(time.monotonic() - began, 1),
            "failed_workers": sum(map(bool, codes)), **farm.here(told)}  # fmt: skip


def make(count: int) -> None:
    """A contest with that many runs in the queue."""
    from django.contrib.auth.models import User
    from django.utils import timezone

    from flyai_site.models import Contest, Participant, Run, Submission

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


def work(pause: float) -> list[Any]:
    """Claim and end runs until all have ended; returns their numbers and the seconds of each claim."""
    from flyai_local.states import State
    from flyai_site import queue
    from flyai_site.models import Worker

    name = f"w{os.getpid()}-{time.time_ns()}"
    machine = Worker.objects.create(name=name, token_hash=name)
    taken, seconds = [], []
    for run in _runs(machine, seconds):
        time.sleep(pause)
        with contextlib.suppress(queue.LateError):  # a machine so busy that the lease went by: another has it
            queue.finish(run.pk, run.attempt, machine, State.SCORED, None, "", 0.1, 1.0, SCORE)
            taken.append(run.pk)
    return [taken, seconds]


def _runs(machine: Any, seconds: list[float]) -> Iterator[Any]:
    from flyai_site import queue
    from flyai_site.models import Run

    while Run.objects.exclude(state__in=["scored", "crashed"]).exists():
        began = time.perf_counter()
        run = queue.claim(machine)
        if run is None:
            time.sleep(0.05)
            continue
        seconds.append(time.perf_counter() - began)
        yield run


def told() -> dict[str, Any]:
    """What the tables say in the end."""
    from collections import Counter

    from flyai_site.models import Run, Score

    states, attempts = zip(*Run.objects.values_list("state", "attempt"), strict=True)
    return {"states": dict(Counter(states)), "scores": Score.objects.count(), "most_attempts": max(attempts)}


def _point(options: Options) -> None:
    """Turn this process to another database, of another kind even."""
    from django.conf import settings
    from django.db import connections

    settings.SITE = options
    for alias in list(connections.settings):
        connections.settings[alias] = connections.configure_settings({"default": database(options)})["default"]
    with contextlib.suppress(AttributeError):
        del connections["default"]
