"""How a contest site holds out: people who poll the board, uploads, a worker that runs a real submission meanwhile.

    python -m benchmarks.site_load --people 300 --every 5 --uploads 30 --seconds 60

Starts `python -m flyai_local host` in a folder of its own on the contest Digits and prints one JSON line: p50, p95, p99
of a board request in ms, uploads taken a minute, the server's memory before and after, its CPU time per request.
Client and server share the machine; say its load beside the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flyai_site.settings import Options, configure

ROOT = Path(__file__).resolve().parents[1]
PORT = 8471


def prepare(people: int) -> list[str]:
    """Participants of the contest Digits with a token each."""
    from django.contrib.auth.models import User

    from flyai_site.models import Contest, Member, Participant, Token
    from flyai_site.words import hashed, new_word

    contest = Contest.objects.get(slug="Digits")
    Contest.objects.update(per_day=1000, in_total=100000)
    words = []
    for at in range(people):
        user = User.objects.create(username=f"p{at}")
        who = Participant.objects.create(contest=contest, name=f"Participant {at}")
        Member.objects.create(contest=contest, participant=who, user=user)
        words.append(new_word("fp"))
        Token.objects.create(user=user, token_hash=hashed(words[-1]), label="load", expires=contest.closes)
    return words


async def ask(request: bytes) -> tuple[int, float]:
    """Status and seconds of one request on a connection of its own."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(request)
    await writer.drain()
    answer = await reader.read(-1)
    writer.close()
    return int(answer[9:12] or 0), time.perf_counter() - began


async def poll(at: int, every: float, until: float, seen: list[float]) -> None:
    """A person who looks at the board."""
    await asyncio.sleep(every * (at % 97) / 97)
    request = b"GET /c/Digits/board/rows HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    while time.monotonic() < until:
        began = time.monotonic()
        status, seconds = await ask(request)
        assert status == 200, status
        seen.append(seconds)
        await asyncio.sleep(max(0.0, every - (time.monotonic() - began)))


async def upload(words: list[str], a_minute: float, size: int, until: float, taken: list[float]) -> None:
    """Uploads, one after the other; as fast as they are taken when a_minute is 0."""
    at = 0
    while time.monotonic() < until:
        began, content = time.monotonic(), os.urandom(size)
        head = f"POST /api/c/Digits/submissions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" \
               f"Authorization: Bearer {words[at % len(words)]}\r\nContent-Length: {size}\r\n\r\n"  # fmt: skip
        status, seconds = await ask(head.encode() + content)
        at += 1
        if status == 201:
            taken.append(seconds)
        if a_minute:
            await asyncio.sleep(max(0.0, 60 / a_minute - (time.monotonic() - began)))


def memory_and_cpu(pid: int) -> tuple[float, float]:
    """Memory in MB and CPU seconds of a process (Linux)."""
    memory = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024  # type: ignore[index]
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return memory, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(args: argparse.Namespace, words: list[str]) -> tuple[list[float], list[float]]:
    """All clients at once."""
    until, seen, taken = time.monotonic() + args.seconds, list[float](), list[float]()
    pollers = [poll(at, args.every, until, seen) for at in range(args.people)]
    await asyncio.gather(*pollers, upload(words, args.uploads, args.size, until, taken))
    return seen, taken


def main() -> None:
    """Start, load, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks of a person")
    parser.add_argument("--uploads", type=float, default=30, help="a minute; 0: as many as are taken")
    parser.add_argument("--size", type=int, default=200_000, help="bytes of an upload")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "FLYAI_LOCAL_HOME": name}
        command = [sys.executable, "-m", "flyai_local", "host", "--port", str(PORT), "--contest", "Digits",
                   "--workers", str(args.workers)]  # fmt: skip
        host = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert host.stdout is not None
            while "is up" not in host.stdout.readline():
                pass
            configure(Options(folder / "site"))
            words = prepare(30)
            before, cpu = memory_and_cpu(host.pid)
            seen, taken = asyncio.run(load(args, words))
            after, cpu_after = memory_and_cpu(host.pid)
        finally:
            host.send_signal(signal.SIGTERM)
            host.wait(60)
    times = sorted(1000 * one for one in seen)
    at = {f"p{part}_ms": round(times[int(part / 100 * len(times))], 1) for part in (50, 95, 99)} if times else {}
    told = {
        "requests": len(times),
        **at,
        "uploads_a_minute": round(60 * len(taken) / args.seconds),
        "memory_mb": [round(before), round(after)],
        "cpu_ms_a_request": round(1000 * (cpu_after - cpu) / max(1, len(times) + len(taken)), 2),
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
