"""What busy neighbours leave of the training loop, of its peers, and of a bare step whose threads sleep or spin.

    python -m benchmarks.busy                      within twelve minutes, with its start
    PEERS/bin/python -m benchmarks.busy            with fastai and Lightning beside it (benchmarks/peers.py says how)
    python -m benchmarks.busy --neighbours 0 2 --rounds 5

Every contestant is a process of its own, because how idle threads wait is settled when the library is loaded: ours
takes the project's policy, the peers and the spinning step that of torch. They take turns within one run, and a
neighbour is a process that computes without end. `of_quiet` compares a contestant with itself beside no neighbour,
`of_asleep` with the bare step whose threads sleep: what that policy allows.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import synthetic, table
from protocol.waiting import VARIABLES

SIZE, STEPS, HEIGHT = 128, 4, 375  # pixels, steps of a turn, height of the pictures
BACKBONE, QUICK_BACKBONE = "tf_efficientnet_lite0", "test_efficientnet"
ASLEEP, OURS = "bare, asleep", "ours"
CONTESTANTS = (ASLEEP, "bare, spinning", OURS, "fastai", "Lightning", "timm's loader")
NEIGHBOUR = """import os, sys
while os.getppid() == int(sys.argv[1]):  # not beyond a benchmark that was killed, be it before this line is reached
    for _ in range(1_000_000): pass"""


def neighbour() -> subprocess.Popen[bytes]:
    """A process that never rests, as long as this one lives."""
    return subprocess.Popen([sys.executable, "-c", NEIGHBOUR, str(os.getpid())])


class Contestant:
    """A process that trains a few steps whenever it is asked to."""

    def __init__(self, name: str, folder: Path, backbone: str, batch: int) -> None:
        policy = "" if name in (ASLEEP, OURS) else "import torch; "  # loaded first, torch waits in its own way
        program = (
            f"{policy}from benchmarks.busy import contest; contest({name!r}, {str(folder)!r}, {backbone!r}, {batch})"
        )
        environment = {key: value for key, value in os.environ.items() if key not in VARIABLES}
        environment["PYTHONWARNINGS"] = "ignore"  # the peers' advice about workers
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ready = self._answer() == "ready"

    def turn(self) -> float:
        """Seconds of a step."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self._answer())

    def end(self) -> None:
        """Leaves nothing behind."""
        self.process.kill()
        self.process.communicate()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("busy: "):
                return line.split(maxsplit=1)[1].strip()
        return "gone"


def contest(name: str, folder: str, backbone: str, batch: int) -> None:
    """Inside a contestant's process: seconds per step for every line that is read."""
    work = _work(name, Path(folder), backbone, batch)
    if work is None:
        return
    work()
    print("busy: ready", flush=True)
    for _ in sys.stdin:
        print(f"busy: {work()}", flush=True)


def _work(name: str, folder: Path, backbone: str, batch: int) -> Callable[[], float] | None:
    """Seconds of a step; None where the package is absent."""
    from benchmarks.peers import PEERS, importable

    if name in PEERS:
        return next(iter(importable(folder, backbone, SIZE, batch, [name]).values()), None)
    from benchmarks.trial import Trial, contest_config

    trial = Trial(contest_config(backbone, SIZE, batch, "adamw()"), folder)
    run = trial.later_epoch if name == OURS else trial.bare_epoch

    def work() -> float:
        begin = time.perf_counter()
        run()
        return (time.perf_counter() - begin) / len(trial.fold.loader)

    return work


@contextlib.contextmanager
def neighbours(number: int) -> Iterator[None]:
    """So many busy processes while the block lasts."""
    started = [neighbour() for _ in range(number)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row for each contestant beside each number of neighbours."""
    begin = time.monotonic()
    numbers, rounds = ([0, 1], 1) if options.quick else (options.neighbours, options.rounds)
    backbone, batch = (QUICK_BACKBONE, 8) if options.quick else (BACKBONE, 32)
    wanted = CONTESTANTS[:3] if options.quick else CONTESTANTS
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as ends:
        synthetic.write(Path(name), round(batch * STEPS * 1.25) + 2, height=HEIGHT, width=HEIGHT * 4 // 3)
        running = {}
        for each in wanted:
            contestant = Contestant(each, Path(name), backbone, batch)
            ends.callback(contestant.end)
            if contestant.ready:
                running[each] = contestant
        yield from _rows(running, numbers, rounds, batch, begin + 60 * options.minutes)


def _rows(
    running: dict[str, Contestant], numbers: list[int], rounds: int, batch: int, end: float
) -> Iterator[table.Row]:
    quiet: dict[str, float] = {}
    for done, number in enumerate(numbers):
        share = (end - time.monotonic()) / (len(numbers) - done)
        with neighbours(number):
            seconds = table.in_turns({name: each.turn for name, each in running.items()}, rounds, within=share)
        rate = {name: batch / statistics.median(times) for name, times in seconds.items()}
        quiet = quiet or rate
        for name, times in seconds.items():
            yield {
                "neighbours": number,
                "contestant": name,
                "rounds": len(times),
                "images_per_second": rate[name],
                "of_quiet": rate[name] / quiet[name],
                "of_asleep": table.ratio(seconds[ASLEEP], times),
            }


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument(
        "--neighbours", type=int, nargs="+", default=[0, 1, 2, 4], help="busy processes; the first counts as quiet"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of turns beside each number (default 5)")
    parser.add_argument("--minutes", type=float, default=11.0, help="fewer rounds where they take longer (default 11)")


if __name__ == "__main__":
    table.main(measure, add_flags)
