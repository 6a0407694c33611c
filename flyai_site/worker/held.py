"""A run that a worker holds: what it tells the site, from a thread of its own, so that the lease never waits for work.

When the site says that the run is no longer held (cancelled, given to another, the worker retired), the worker's main
thread gets the signal of Ctrl-C, which ends the submission with all its processes; nothing that it still made is taken.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

from flyai_local.remote.site import RefusedError, Site, UnreachableError

__all__ = ["Held"]

TELL_SECONDS = 1.0
PIECE_BYTES = 2**17
MOST_BYTES = 8 * 2**20
FINISH_SECONDS = 600.0  # how long an end that cannot be told is tried again
LATE = 409
GONE = (LATE, 401)  # another has the run, or the site knows this worker no more


class Held:
    """One run and attempt at a site."""

    def __init__(self, site: Site, run: int, attempt: int, lease_seconds: float) -> None:
        self._site, self._path = site, f"/api/worker/runs/{run}/{attempt}"
        self._beat_seconds = max(0.2, lease_seconds / 3)
        self._lock = threading.Lock()
        self._unsent = b""
        self._sent = self._taken = 0
        self._state: str | None = None
        self._ended = threading.Event()
        self.lost = False
        self._main = threading.main_thread().ident
        self._thread = threading.Thread(target=self._tell_on, daemon=True)

    def __enter__(self) -> Held:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def say(self, line: str) -> None:
        """A line for the log."""
        data = line.encode("utf-8", "replace") + b"\n"
        with self._lock:
            if self._taken + len(data) <= MOST_BYTES:
                self._taken += len(data)
                self._unsent += data

    def state(self, state: str) -> None:
        """A new state."""
        with self._lock:
            self._state = state

    def report(self, data: bytes) -> None:
        """The report that the submission left; a site that will not take it does not matter."""
        try:
            self._site.ask("PUT", f"{self._path}/report", raw=data)
        except (RefusedError, UnreachableError):
            return

    def finish(self, end: dict[str, Any]) -> None:
        """Tell the end; a site that is away is asked again for ten minutes."""
        self._ended.set()
        self._thread.join()
        until = time.monotonic() + FINISH_SECONDS
        while not self.lost:
            try:
                self._send_log()
                self._site.ask("POST", f"{self._path}/finish", end)
                return
            except RefusedError as error:
                if error.status in GONE:
                    return
                if error.status < 500:
                    raise
            except UnreachableError:
                pass
            if time.monotonic() > until:
                return
            time.sleep(2.0)

    def _tell_on(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(min(TELL_SECONDS, self._beat_seconds)):
            try:
                told = self._send_state() | self._send_log()
                if not told and time.monotonic() - last >= self._beat_seconds:
                    told = True
                    self._site.ask("POST", f"{self._path}/beat", {})
                last = time.monotonic() if told else last
            except UnreachableError:
                continue
            except RefusedError as error:
                if error.status in GONE:
                    self.lost = True
                    signal.pthread_kill(self._main or 0, signal.SIGINT)
                    return

    def _send_state(self) -> bool:
        with self._lock:
            state, self._state = self._state, None
        if state is None:
            return False
        try:
            self._site.ask("POST", f"{self._path}/state", {"state": state})
        except UnreachableError:
            with self._lock:
                self._state = self._state or state
            raise
        return True

    def _send_log(self) -> bool:
        """Send what has been said since; a piece whose answer was lost is not added twice."""
        told = False
        while True:
            with self._lock:
                piece = self._unsent[:PIECE_BYTES]
            if not piece:
                return told
            answer = self._site.ask("POST", f"{self._path}/log?from={self._sent}", raw=piece)
            took = min(max(0, int(answer["next"]) - self._sent), len(piece))
            with self._lock:
                self._unsent = self._unsent[took:] if took else b""
                self._sent += took
            told = True
