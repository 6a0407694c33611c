"""Clients of a contest site: people who poll the board, uploads at a pace or as fast as they go, one huge upload.

Every request has a connection of its own and none says which board it knows, so each answer is the whole table: more
than browsers ask for. Client and server share the machine.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.site_host import PORT, ROOT, Host, fill, memory_and_cpu

__all__ = ["large", "people", "uploads"]

BLOCK = 2**20
AT_ONCE = 8  # uploads under way, where they come as fast as they are taken


def people(count: int, every: float, a_minute: float, seconds: float, workers: int) -> dict[str, Any]:
    """p50, p95 and p99 of a board request in ms while people poll, uploads come, and a submission trains."""
    with tempfile.TemporaryDirectory() as folder, Host(Path(folder), workers) as host:
        words = fill(count, 5)
        if workers:
            _upload(words[0], _own_project(Path(folder)))
            _until(_trains, 600)
        seen, taken, before = [], [], memory_and_cpu(host.pid)
        until = time.monotonic() + seconds

        async def all_at_once() -> None:
            pollers = [_poll(at, every, until, seen) for at in range(count)]
            await asyncio.gather(*pollers, _send(words, a_minute, 200_000, until, taken))

        asyncio.run(all_at_once())
        trained, after = _trains(), memory_and_cpu(host.pid)
    spent = 1000 * (after[1] - before[1]) / (len(seen) + len(taken))
    return {"requests": len(seen), **_spread(seen), "uploads": len(taken), "upload": _spread(taken),
            "cpu_ms_a_request": round(spent, 2), "memory_mb": [round(before[0]), round(after[0])],
            "trained_all_the_while": trained}  # fmt: skip


def uploads(size: int, seconds: float) -> dict[str, Any]:
    """How many uploads are taken a minute, eight under way at any time."""
    with tempfile.TemporaryDirectory() as folder, Host(Path(folder), 0) as host:
        words, taken = fill(300, 1), []
        before, until = memory_and_cpu(host.pid), time.monotonic() + seconds

        async def all_at_once() -> None:
            own = [words[at::AT_ONCE] for at in range(AT_ONCE)]
            await asyncio.gather(*(_send(some, 0, size, until, taken) for some in own))

        asyncio.run(all_at_once())
        after = memory_and_cpu(host.pid)
    return {"uploads_a_minute": round(60 * len(taken) / seconds), **_spread(taken),
            "cpu_ms_an_upload": round(1000 * (after[1] - before[1]) / len(taken), 2),
            "memory_mb": [round(before[0]), round(after[0])]}  # fmt: skip


def large(gb: float) -> dict[str, Any]:
    """The site's memory under one upload of that size, looked at every half second, and where the time goes: until all
    is sent, and from then until it is in the queue (the disk has it, whole)."""
    size = int(gb * 2**30)
    with tempfile.TemporaryDirectory() as folder, Host(Path(folder), 0, int(gb * 1024) + 1) as host:
        words, seen = fill(2, 1), [memory_and_cpu(host.pid)[0]]

        async def both() -> tuple[int, float]:
            sending = asyncio.create_task(_huge(words[0], size))
            while not sending.done():
                seen.append(memory_and_cpu(host.pid)[0])
                await asyncio.sleep(0.5)
            return await sending

        began, before = time.monotonic(), memory_and_cpu(host.pid)[1]
        status, sent = asyncio.run(both())
        ended, spent = time.monotonic(), memory_and_cpu(host.pid)[1] - before
    return {"gb": gb, "status": status, "sent_seconds": round(sent - began, 1), "then_seconds": round(ended - sent, 1),
            "site_cpu_seconds": round(spent, 1), "before_mb": round(seen[0]), "most_mb": round(max(seen)),
            "looks": len(seen)}  # fmt: skip


async def _ask(request: bytes) -> tuple[int, float]:
    """Status and seconds of one request on a connection of its own."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(request)
    await writer.drain()
    answer = await reader.read(-1)
    writer.close()
    return int(answer[9:12] or 0), time.perf_counter() - began


async def _poll(at: int, every: float, until: float, seen: list[float]) -> None:
    """A person who looks at the board."""
    await asyncio.sleep(every * (at % 97) / 97)
    request = b"GET /c/Digits/board/rows HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    while time.monotonic() < until:
        began = time.monotonic()
        status, seconds = await _ask(request)
        if status != 200:
            raise SystemExit(f"the board answered {status}")
        seen.append(seconds)
        await asyncio.sleep(max(0.0, every - (time.monotonic() - began)))


async def _send(words: list[str], a_minute: float, size: int, until: float, taken: list[float]) -> None:
    """Uploads of all these people, one after the other; as fast as they are taken when a_minute is 0."""
    at = 0
    while time.monotonic() < until:
        began = time.monotonic()
        status, seconds = await _ask(_head(words[at % len(words)], size) + os.urandom(size))
        at += 1
        if status == 201:
            taken.append(seconds)
        if a_minute:
            await asyncio.sleep(max(0.0, 60 / a_minute - (time.monotonic() - began)))


async def _huge(word: str, size: int) -> tuple[int, float]:
    """Status of the upload, and when its last byte was sent; every GB is told meanwhile."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(_head(word, size))
    block = os.urandom(BLOCK)
    for at in range(0, size, BLOCK):
        writer.write(block[: size - at])
        await writer.drain()
        if at and at % 2**30 == 0:
            print(f"{at // 2**30} GB sent", file=sys.stderr, flush=True)
    sent = time.monotonic()
    answer = await reader.read(-1)
    writer.close()
    return int(answer[9:12] or 0), sent


def _head(word: str, size: int) -> bytes:
    return (f"POST /api/c/Digits/submissions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Authorization: Bearer {word}\r\nContent-Length: {size}\r\n\r\n").encode()  # fmt: skip


def _upload(word: str, content: bytes) -> None:
    status, _ = asyncio.run(_ask(_head(word, len(content)) + content))
    if status != 201:
        raise SystemExit(f"the site answered {status} to the submission that was to train")


def _own_project(folder: Path) -> bytes:
    """This project itself, packed as a participant does."""
    from flyai_local.submission.pack import pack, select

    return pack(ROOT, folder / "own.zip", select(ROOT)).archive.read_bytes()


def _trains() -> bool:
    from flyai_site.models import Run

    return Run.objects.filter(state="training").exists()


def _until(true: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise SystemExit(f"nothing trained within {seconds:g} s")
        time.sleep(0.5)


def _spread(seconds: list[float]) -> dict[str, float]:
    times = sorted(1000 * one for one in seconds)
    return {f"p{part}_ms": round(times[int(part / 100 * len(times))], 1) for part in (50, 95, 99)} if times else {}
