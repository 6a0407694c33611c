"""The number of threads that steps run on, chosen anew where the machine changes under a run.

A timing before the run picks the fastest number on the machine as it is then. Once other programs come, as many threads
as cores wait for each other; once they go, one thread leaves a core idle. The run's own next steps are the trial.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import torch

from protocol.language import tr
from recipe.system.console import say
from recipe.system.runtime import Runtime

SLOWER = 3.0  # times the usual step: so much is another program, not another batch
FASTER = 1.5  # the usual step by this: what was chosen beside another program may be too few once it has gone
PATIENCE = 60.0  # seconds of such steps, before anything is tried
USUAL = 8  # steps that say what is usual
TRIAL = 3  # steps of each number
BETTER = 1.1  # a number must be so much faster than the present one to take its place


def numbers_to_try(threads: int) -> list[int]:
    """All threads, half of them, a quarter and so on, down to one."""
    return [threads >> shift for shift in range(threads.bit_length())]


class ThreadChoice:
    """Told how long each step took, it sets the number of threads of the next ones.

    Limit: where only one number may be used, nothing is ever tried and nothing said.
    """

    def __init__(
        self, threads: int, numbers: Sequence[int] = (), use: Callable[[int], None] = torch.set_num_threads
    ) -> None:
        """`numbers` are those that may be used beside `threads`; none where the user or --deterministic pins it."""
        self.first = self.threads = threads
        self.numbers = sorted({threads, *numbers}, reverse=True)
        self.use = use
        self.restart()

    @classmethod
    def of(cls, runtime: Runtime, pinned: bool) -> ThreadChoice:
        """The choice for a machine; on a GPU the number of threads decides nothing."""
        free = runtime.device.type == "cpu" and runtime.threads > 1 and not pinned
        return cls(runtime.threads, numbers_to_try(runtime.threads) if free else ())

    def restart(self) -> None:
        """What follows are steps of another kind: what is usual is learnt anew."""
        self.usual: float | None = None
        self.seen: list[float] = []
        self.unusual = 0.0  # seconds on end
        self.trials: dict[int, list[float]] = {}  # by number, while one goes on

    def stepped(self, seconds: float) -> None:
        """A step has taken so long, on the present number of threads."""
        if len(self.numbers) < 2:
            return
        if self.trials:
            self._tried(seconds)
        elif self.usual is None:
            self.seen.append(seconds)
            if len(self.seen) == USUAL:
                self.usual = statistics.median(self.seen)
        elif self._is_unusual(seconds, self.usual):
            self.unusual += seconds
            if self.unusual >= PATIENCE:
                self.trials = {number: [] for number in self.numbers}
                self._set(self.numbers[0])
        else:
            self.unusual = 0.0

    def _is_unusual(self, seconds: float, usual: float) -> bool:
        return seconds >= SLOWER * usual or (self.threads != self.first and seconds * FASTER <= usual)

    def _tried(self, seconds: float) -> None:
        """A step of the trial; after the last one the fastest number stays."""
        self.trials[self.threads].append(seconds)
        if len(self.trials[self.threads]) < TRIAL:
            return
        if left := [number for number, times in self.trials.items() if not times]:
            self._set(left[0])
            return
        times = {number: statistics.median(each) for number, each in self.trials.items()}
        fastest = min(times, key=lambda number: times[number])
        chosen = fastest if times[self.first] > BETTER * times[fastest] else self.first
        self._set(chosen)
        self.restart()
        self.usual = times[chosen]
        say(self._sentence(times))

    def _set(self, number: int) -> None:
        self.threads = number
        self.use(number)

    def _sentence(self, times: dict[int, float]) -> str:
        tried = ", ".join(f"{number}: {seconds:.2g} s" for number, seconds in times.items())
        back = self.threads == self.first
        bits = (
            ""
            if back
            else tr(
                "; its last digits may differ from a run on {first}, which --threads {first} pins", first=self.first
            )
        )
        return tr(
            "the machine is another than before: threads tried ({tried} a step), {threads} from here on{bits}",
            tried=tried,
            threads=self.threads,
            bits=bits,
        )
