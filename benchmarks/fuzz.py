"""Throw mutated files at a reader until the time is up: only its own errors may come out, soon, in bounded memory.

python -m benchmarks.fuzz --target picture --minutes 10        # or another of TARGETS; prints executions and findings
python -m benchmarks.fuzz --target yaml --minutes 1 --corpus found    # keeps the inputs that reached new code, and
begins from them

With atheris (pip install atheris==3.0.0, Linux) mutations are guided by the lines of Python that they reach; without it
they are random. The reader runs in a child process. A finding is an exception that no reader names, a crash, an answer
that takes more than HANG_SECONDS, or memory beyond MEMORY_MB; each is written to --findings, and to tests/corpus/TARGET
once it is mended, where the tests run it for ever. Exit codes: 0 no findings; 1 findings; 2 an unknown option.
"""

from __future__ import annotations

import argparse
import hashlib
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HANG_SECONDS = 5.0  # of processor time for one input; of the clock, ten times as long: machines are shared
MEMORY_MB = 2048
TARGETS = ("picture", "csv", "yaml", "checkpoint", "archive", "submission", "card", "labels")
LARGEST_INPUT = 1 << 20
_STATE = struct.Struct("<QddI")  # inputs so far, when the present one began (0: between two; clock, processor), bytes


class Seat:
    """What the child is doing, in a file that both processes map: it survives any crash."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_STATE.size + LARGEST_INPUT))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def begin(self, data: bytes) -> None:
        """An input is about to be read."""
        self._map[_STATE.size : _STATE.size + len(data)] = data
        _STATE.pack_into(self._map, 0, self.count, time.monotonic(), time.process_time(), len(data))

    def end(self) -> None:
        """It has been, or the child is no more."""
        _STATE.pack_into(self._map, 0, self.count + 1, 0.0, 0.0, 0)

    @property
    def count(self) -> int:
        """Inputs that were read to their end, in all children."""
        return _STATE.unpack_from(self._map, 0)[0]

    @property
    def seconds(self) -> float:
        """For how long the present input has been read; 0 between two."""
        began = _STATE.unpack_from(self._map, 0)[1]
        return time.monotonic() - began if began else 0.0

    def hangs(self, used: float | None) -> bool:
        """Whether the present input takes too long; `used` is the child's processor time so far, if it is known."""
        began = _STATE.unpack_from(self._map, 0)[2]
        most = HANG_SECONDS if used is None or used - began > HANG_SECONDS else 10 * HANG_SECONDS
        return self.seconds > most

    @property
    def input(self) -> bytes:
        """The present one."""
        length = _STATE.unpack_from(self._map, 0)[3]
        return bytes(self._map[_STATE.size : _STATE.size + length])


def save(folder: Path, what: str, data: bytes) -> None:
    """Writes a finding, one for each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob(f"{what}-*")):
        (folder / f"{what}-{hashlib.sha256(data).hexdigest()[:8]}").write_bytes(data)
        print(f"finding: {what}", flush=True)


def watch(child: subprocess.Popen[bytes], seat: Seat, deadline: float) -> str:
    """What ended the child: nothing (""), a signal, a hang, or too much memory."""
    while child.poll() is None:
        time.sleep(0.2)
        if seat.hangs(_processor_seconds(child.pid)):
            return "hang"
        if _memory_mb(child.pid) > MEMORY_MB:
            return "memory"
        if time.monotonic() > deadline:
            return ""
    if child.returncode > 0 and not seat.seconds:
        raise SystemExit(
            f"the reader could not be started (exit code {child.returncode}); "
            "its messages are in the log beside the findings"
        )
    return (
        f"signal{-child.returncode}" if child.returncode < 0 else f"exit{child.returncode}" if child.returncode else ""
    )


def _processor_seconds(process: int) -> float | None:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended, or this is no Linux
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(process: int) -> float:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):  # it has ended, or this is no Linux
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def fuzz(target: str, seconds: float, corpus: Path, findings: Path, seed: int) -> int:
    """Runs children one after another until the time is up; returns the number of inputs."""
    with tempfile.TemporaryDirectory() as folder:
        seat, deadline = Seat(Path(folder) / "seat"), time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 1:
            arguments = [target, folder, corpus, findings, str(int(left) + 1), str(seed + seat.count)]
            with open(findings.parent / f"{target}.log", "ab") as log:
                child = subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.fuzz_child", *arguments], cwd=ROOT, stderr=log
                )
                ended = watch(child, seat, deadline + 5)
                data = seat.input
                child.send_signal(signal.SIGKILL)
                child.wait()
            if ended:
                save(findings, f"{target}-{ended}", data)
                seat.end()
        return seat.count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=10, metavar="M", help="[10]")
    parser.add_argument(
        "--corpus",
        type=Path,
        metavar="DIR",
        help="inputs to begin from and to keep; by default those that the target makes",
    )
    parser.add_argument(
        "--findings",
        type=Path,
        metavar="DIR",
        default=Path("data/output/fuzz/findings"),
        help="[data/output/fuzz/findings]",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="[1]")
    arguments = parser.parse_args()
    findings = arguments.findings.absolute()
    findings.mkdir(parents=True, exist_ok=True)
    before, began = set(findings.glob(f"{arguments.target}-*")), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        corpus = (arguments.corpus or Path(folder)).absolute()
        count = fuzz(arguments.target, 60 * arguments.minutes, corpus, findings, arguments.seed)
        kept = len(list(corpus.iterdir())) if corpus.exists() else 0
    seconds = time.monotonic() - began
    found = sorted(path.name for path in set(findings.glob(f"{arguments.target}-*")) - before)
    print(
        f"{arguments.target}: {count:,} inputs in {seconds:.0f} s ({count / seconds:.0f}/s), "
        f"{kept} in the corpus, {len(found)} findings"
    )
    print(*(f"  {name}" for name in found), sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
