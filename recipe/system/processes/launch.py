"""Starts a program several times as processes of one training, and ends as they end.

Like torchrun, and with its variables, but for one machine: the exit code is that of the training rather than 1, no
trace is printed, and a process that saves its state is given the time. No torch is imported here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from protocol.ending import tell
from protocol.language import tr
from recipe.system.machine import cores
from recipe.system.processes.world import PARENT, RENDEZVOUS
from recipe.system.stopping import SIGNALS, Stopped

GRACE = (
    60.0  # seconds that the others have once one has failed: to notice it and to save; then again once asked to stop
)
POLL = 0.05  # seconds
LOOPBACK = "GLOO_SOCKET_IFNAME"


class Started:
    """The processes, by rank."""

    def __init__(self, words: Sequence[str], count: int, rendezvous: Path) -> None:
        self.children = [
            subprocess.Popen(words, env=environment(rank, count, rendezvous, os.environ), start_new_session=True)
            for rank in range(count)
        ]
        self.signal = 0  # passed on to them
        self.failed: tuple[int, int] | None = None  # the first that failed: rank and code
        self._since = 0.0
        self._measures = 0

    def hear(self, number: int, frame: Any = None) -> None:
        """The handler: whoever stops the parent means the training. Each hears it once, in a session of its own."""
        self.signal = self.signal or number
        self._send(number)

    def wait(self) -> int:
        """The exit code of the training."""
        while any(child.poll() is None for child in self.children):
            self._look()
            time.sleep(POLL)
        self._look()
        return self._code()

    def end(self) -> None:
        """Leaves none behind."""
        self._send(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

    def _look(self) -> None:
        """After a failure the others have some time, then are asked to stop, then are ended."""
        for rank, child in enumerate(self.children):
            if self.failed is None and child.poll():
                self.failed, self._since = (rank, int(child.returncode)), time.monotonic()
        if self.failed is None or time.monotonic() - self._since < GRACE * (self._measures + 1):
            return
        self._measures += 1
        self._send(signal.SIGTERM) if self._measures == 1 else self.end()

    def _send(self, number: int) -> None:
        for child in self.children:
            if child.poll() is None:
                child.send_signal(number)

    def _code(self) -> int:
        """That of the first process where it has one, else that of the first that failed."""
        own = self.children[0].returncode
        if self.failed is None or own == 0:
            return 0
        rank, code = self.failed
        if code < 0 and not self.signal:
            tell(
                tr(
                    "error: process {rank} of {children} was ended by {name}, which none of this program "
                    "sends: by hand, or by the system when memory ran out. What was saved is kept; the same "
                    "command with --resume goes on.",
                    rank=rank + 1,
                    children=len(self.children),
                    name=signal.Signals(-code).name,
                ),
                error=True,
            )
        if self.signal and own == Stopped(self.signal).code:
            return own
        return own if own > 0 else code if code > 0 else 1


def run_processes(words: Sequence[str], count: int) -> int:
    """Runs a program `count` times as one training; its exit code, that of the first process where it has one."""
    with tempfile.TemporaryDirectory(prefix="flyai-world-") as folder:
        started = Started(words, count, Path(folder) / "meeting")
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, started.hear) for number in heard}
        try:
            return started.wait()
        finally:
            started.end()
            for number, handler in before.items():
                signal.signal(number, handler)


def environment(rank: int, count: int, rendezvous: Path, own: Mapping[str, str]) -> dict[str, str]:
    """What one of `count` processes of this machine is told; the cores are shared unless the user has shared them."""
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    told = {name: str(number) for name, number in places.items()}
    told |= {RENDEZVOUS: str(rendezvous), PARENT: str(os.getpid())}
    shared = {"OMP_NUM_THREADS": str(max(1, cores() // count))}
    if sys.platform == "linux":
        shared[LOOPBACK] = "lo"  # whatever name or firewall the machine's own address has
    return {**shared, **own, **told}
