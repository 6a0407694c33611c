"""What a run shows while it works: the platform's own lines with the time, and the submission's lines marked as
such.
"""

from __future__ import annotations

import time

from flyai_local.run.causes import explain
from flyai_local.states import STATES, Code, State
from flyai_local.terminal import say, shown

__all__ = ["Progress", "failure"]


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
        self.step(f"{state.value}: {STATES[state][0]} {STATES[state][1]}")

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


def failure(code: Code, detail: str, tail: list[str], log: str) -> str:
    """What a participant reads about a failure: code, cause and remedy in both languages, last lines, where the log
    is. What the submission wrote, in its detail too, keeps to its own lines.
    """
    cause, remedy = explain(code)
    cause_zh, remedy_zh = explain(code, "zh")
    last = [f"  {shown(line)}" for line in tail]
    return "\n".join(
        [
            f"[{code.value}] {cause}",
            f"  here: {shown(detail)}",
            f"  remedy: {remedy}",
            f"  原因：{cause_zh}",
            f"  解决：{remedy_zh}",
            *([f"last lines of {shown(log)}:", *last] if last else []),
        ]
    )
