"""Whether a run that is killed at any moment ends where the uninterrupted one does, bit for bit.

    python -m benchmarks.kill --runs 200
    python -m benchmarks.kill --quick

Every run trains 2 folds with SAM, EMA, mixup and AdamW and is killed by SIGKILL until it gets through: at random
moments, inside the write of a checkpoint or state, between the write and the renaming, right after it, or stopped by a
full disk (a tmpfs, where this may be mounted). Even runs have one loader thread, odd ones two. Compared are weights,
out-of-fold files and log without wall times. `lost` is the longest time from the last thing saved, or from the start,
to the kill; states are saved every 0.1 s here. Ends with 1 where a run differs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import killed, table
from recipe.system.console import Bar

CASES = {
    "random moments": None,
    "inside a write": killed.dies_in_write,
    "before the renaming": killed.dies_before_rename,
    "after the renaming": killed.dies_after_rename,
}
FULL = "full disk"
FAILED: list[str] = []


@dataclass
class Tally:
    """What became of the runs of a case."""

    runs: int = 0
    kills: int = 0
    identical: int = 0
    unreadable: int = 0  # runs that could not be gone on with
    lost: float = 0.0  # seconds
    notes: list[str] = field(default_factory=list)


def measure(options: argparse.Namespace) -> Iterator[table.Row]:
    """A row per case."""
    count = 10 if options.quick else options.runs
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name, Bar(count + 1, "run", "killing") as bar:
        place = Path(name)
        data = killed.draw_pictures(place / "data")
        begin = time.perf_counter()
        if code := killed.ended(killed.start(data, place / "whole", 1)):
            raise SystemExit(f"the uninterrupted run ended with {code}: {(place / 'whole.txt').read_text()[-500:]}")
        whole_seconds = time.perf_counter() - begin
        bar.advance()
        cases = [*CASES, *([FULL] if _mounts(place / "trial") else [])]
        tallies = {case: Tally() for case in cases}
        for number in range(count):
            case = cases[number % len(cases)]
            _one_run(
                case, tallies[case], data, place, 1 + number // len(cases) % 2, whole_seconds, options.kills, chance
            )
            bar.advance()
            bar.describe(f"{sum(tally.identical for tally in tallies.values())} of {number + 1} identical")
    for case, tally in tallies.items():
        yield {
            "case": case,
            "runs": tally.runs,
            "kills": tally.kills,
            "identical": tally.identical,
            "unreadable": tally.unreadable,
            "lost_s": tally.lost,
        }
        FAILED.extend(tally.notes)
    if FULL not in tallies:
        print("full disk: skipped, for no tmpfs may be mounted here")


def _one_run(
    case: str, tally: Tally, data: Path, place: Path, workers: int, seconds: float, kills: int, chance: random.Random
) -> None:
    folder = place / "run"
    tally.runs += 1
    code = (_until_the_disk_is_full if case == FULL else _until_it_ends)(
        case, tally, data, folder, workers, seconds, kills, chance
    )
    if code:
        tally.unreadable += 1
        tally.notes.append(
            f"{case}: ended with {code}: {folder.with_suffix('.txt').read_text(encoding='utf-8')[-300:]}"
        )
    elif names := killed.differing(place / "whole", folder):
        tally.notes.append(f"{case}: {len(names)} differ, such as {names[0]}")
    else:
        tally.identical += 1
    _unmount(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(".txt").unlink()


def _until_it_ends(
    case: str, tally: Tally, data: Path, folder: Path, workers: int, seconds: float, kills: int, chance: random.Random
) -> int:
    """Kills a run so many times, or until it ends before the next kill; then lets it end. Returns its exit code."""
    for _ in range(kills):
        fault = CASES[case]
        began = time.time()
        if fault is None:
            code = killed.killed_at(killed.start(data, folder, workers), chance.uniform(0, seconds))
        else:
            code = killed.ended(killed.start(data, folder, workers, fault(chance.randint(1, 12))))
        if code >= 0:
            return code
        tally.kills += 1
        tally.lost = max(tally.lost, time.time() - max(began, killed.last_saved(folder)))
    return killed.ended(killed.start(data, folder, workers))


def _until_the_disk_is_full(
    case: str, tally: Tally, data: Path, folder: Path, workers: int, seconds: float, kills: int, chance: random.Random
) -> int:
    """Runs on a small tmpfs until it stops in words and with 1, then on a larger one. Returns its exit code."""
    _mount(folder, f"{chance.randint(100, 8000)}k")
    code = killed.ended(killed.start(data, folder, workers))
    if code == 1:
        tally.kills += 1
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        code = killed.ended(killed.start(data, folder, workers))
    return code


def _mounts(folder: Path) -> bool:
    try:
        _mount(folder, "100k")
    except (OSError, subprocess.CalledProcessError):
        return False
    _unmount(folder)
    return True


def _mount(folder: Path, size: str) -> None:
    folder.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True, capture_output=True
    )


def _unmount(folder: Path) -> None:
    if os.path.ismount(folder):
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What this benchmark takes."""
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--kills", type=int, default=1, help="how often a run is killed before it may end")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    table.main(measure, add_flags)
    for note in FAILED:
        print(note)
    raise SystemExit(1 if FAILED else 0)
