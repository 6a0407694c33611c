"""When a state is saved: often enough that little is lost, seldom enough that it costs little."""

from __future__ import annotations

import time
from collections.abc import Callable

SHARE = 0.02  # of the time, at most, that saving by time may take


class SaveRhythm:
    """Saving is due once `seconds` of work would be lost, or after every `steps` steps where those are given.

    Where a save takes so long that this would cost more than a fiftieth of the time, the pause between saves grows, and `say` is told
    once how much work can be lost then. Limit: seconds=0 saves after every step, whatever it costs.
    """

    def __init__(self, seconds: float, steps: int, say: Callable[[str], None], clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds, self.steps, self.say, self.clock = seconds, steps, say, clock
        self._pause, self._last, self._since = seconds, clock(), 0

    def stepped(self) -> None:
        """Counts a step."""
        self._since += 1

    def due(self, coming: float = 0.0) -> bool:
        """Whether to save before something that takes `coming` seconds."""
        by_steps = bool(self.steps) and self._since >= self.steps
        return by_steps or self.clock() - self._last + coming >= self._pause

    def saved(self, took: float) -> None:
        """Takes note of a save that took so many seconds."""
        self._last, self._since = self.clock(), 0
        needed = took / SHARE if self.seconds else 0.0
        if needed > self.seconds and self._pause == self.seconds:
            self.say(
                f"saving the state took {took:.1f} s: it is saved every {needed:.0f} s, so that saving costs {SHARE:.0%} of the time; a killed "
                f"run may lose as much rather than the {self.seconds:.0f} s of --save-seconds"
            )
        self._pause = max(self.seconds, needed)
