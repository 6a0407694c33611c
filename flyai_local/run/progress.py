"""What a run shows while it works: the platform's own lines with the time, the submission's marked as such."""

from __future__ import annotations

import threading
import time

from flyai_local.run.causes import explain
from flyai_local.states import STATES, Code, State
from flyai_local.terminal import say, shown
from protocol.language import language, tr

__all__ = ["Progress", "Pulse", "failure"]


class Progress:
    """Prints progress. The platform's lines go to stdout; the submission's, each behind a mark, to stderr.

    So a line of the submission can never pass for one of the platform, the score's least of all.

    Args:
        quiet: leave the submission's lines out; they are in the log all the same.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._began = time.monotonic()
        self._quiet = quiet

    def state(self, state: State) -> None:
        """Show that a new state begins."""
        self.step(f"{state.value}: {tr(STATES[state])}")

    def step(self, text: str) -> None:
        """Show one line of the platform."""
        say(f"[{self._seconds()}] {text}")

    def line(self, phase: str, text: str) -> None:
        """Show one line of the submission."""
        if not self._quiet:
            say(f"[{self._seconds()}] {phase} | {text}", error=True)

    def _seconds(self) -> str:
        minutes, seconds = divmod(time.monotonic() - self._began, 60)
        return f"{int(minutes):02d}:{seconds:04.1f}"


class Pulse(Progress):
    """Shows on stderr what is being done, and says so again whenever nothing has been said for a while.

    Args:
        every: seconds of silence after which the submission's last line is shown, or that it has printed no other.
    """

    def __init__(self, every: float = 5.0) -> None:
        super().__init__()
        self._every, self._last, self._spoken = every, "", time.monotonic()
        self._told = ""  # the line that was shown last
        self._ended = threading.Event()

    def step(self, text: str) -> None:
        """Show one line of the platform."""
        self._say(text)

    def line(self, phase: str, text: str) -> None:
        """Keep the submission's line for the next sign of life."""
        self._last = f"{phase} | {text[:120]}"

    def __enter__(self) -> Pulse:
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()

    def _beat(self) -> None:
        while not self._ended.wait(self._every / 5):
            if time.monotonic() - self._spoken >= self._every:
                fresh, self._told = self._last != self._told, self._last
                self._say(self._last if fresh else tr("... at work"))

    def _say(self, text: str) -> None:
        self._spoken = time.monotonic()
        say(f"[{self._seconds()}] {text}", error=True)


def failure(code: Code, detail: str, tail: list[str], log: str) -> str:
    """What a participant reads about a failure: code, cause and remedy, last lines, where the log is. What the
    submission wrote, in its detail too, keeps to its own lines.
    """
    cause, remedy = explain(code, language())
    last = [f"  {shown(line)}" for line in tail]
    return "\n".join(
        [
            f"[{code.value}] {cause}",
            "  " + tr("here: {detail}", detail=shown(detail)),
            "  " + tr("remedy: {remedy}", remedy=remedy),
            *([tr("last lines of {log}:", log=shown(log)), *last] if last else []),
        ]
    )
