"""A contest site for the benchmarks: `python -m flyai_local host` in a folder of its own, with a class in it."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from flyai_site.settings import Options, configure

__all__ = ["PORT", "Host", "fill", "free_port", "memory_and_cpu"]

ROOT = Path(__file__).resolve().parents[1]
CLASSES = 10


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


PORT = free_port()  # of this process's site


class Host:
    """The site as a process, on the contest Digits; this process may use its database too."""

    def __init__(self, folder: Path, workers: int, max_upload_mb: int = 512) -> None:
        command = [sys.executable, "-m", "flyai_local", "host", "--port", str(PORT), "--contest", "Digits",
                   "--workers", str(workers), "--max-upload-mb", str(max_upload_mb)]  # fmt: skip
        environment = {**os.environ, "FLYAI_LOCAL_HOME": str(folder)}
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "is up" in line:
                break
        else:
            raise SystemExit("the site did not start: its error stands above")
        configure(Options(folder / "site"))

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(180)


def fill(people: int, submissions: int) -> list[str]:
    """People of the contest Digits, each with scored submissions; returns a token of each."""
    from django.contrib.auth.models import User

    from flyai_site.models import Contest, Member, Participant, Run, Score, Submission, Token
    from flyai_site.words import hashed, new_word

    Contest.objects.update(per_day=1000, in_total=100000, max_mb=100000)
    contest, draw = Contest.objects.get(slug="Digits"), random.Random(0)
    users = User.objects.bulk_create(User(username=f"p{at}") for at in range(people))
    whose = Participant.objects.bulk_create(
        Participant(contest=contest, name=f"Participant {at}") for at in range(people)
    )
    both = list(zip(whose, users, strict=True))
    Member.objects.bulk_create(Member(contest=contest, participant=who, user=user) for who, user in both)
    own = {"size_bytes": 1, "sha256": "0" * 64}
    made = Submission.objects.bulk_create(
        Submission(participant=who, user=user, arrived=contest.opens + timedelta(seconds=at), **own)
        for at in range(submissions) for who, user in both
    )  # fmt: skip
    runs = Run.objects.bulk_create(Run(submission=one, state="scored", seconds=60, peak_mb=900) for one in made)
    Score.objects.bulk_create(Score(run=run, **_score(draw)) for run in runs)
    words = [new_word("fp") for _ in users]
    Token.objects.bulk_create(
        Token(user=user, token_hash=hashed(word), label="load", expires=contest.closes)
        for user, word in zip(users, words, strict=True)
    )
    return words


def _score(draw: random.Random) -> dict[str, Any]:
    classes = {str(label): round(100 * draw.random(), 2) for label in range(CLASSES)}
    return {"metric": "accuracy", "total": 50.0, "public": round(100 * draw.random(), 2), "private": 50.0,
            "per_class": classes, "public_per_class": classes}  # fmt: skip


def memory_and_cpu(pid: int) -> tuple[float, float]:
    """Memory in MB and CPU seconds of a process (Linux)."""
    memory = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024  # type: ignore[index]
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return memory, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
