"""The process that benchmarks/fuzz.py watches: makes inputs and reads them, until its time is up or it breaks.

python -m benchmarks.fuzz_child TARGET FOLDER CORPUS FINDINGS SECONDS SEED
"""

from __future__ import annotations

import random
import sys
import time
import traceback
from contextlib import nullcontext
from pathlib import Path

from benchmarks.fuzz import LARGEST_INPUT, Seat, save
from benchmarks.fuzz_platform import TARGETS

INTERESTING = [0, 1, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1]


def mutated(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The bytes with one to eight changes: flipped, set to a telling number, cut, doubled, or spliced."""
    copy = bytearray(data)
    for _ in range(1 << rng.randrange(4)):
        at, length = rng.randrange(len(copy) + 1), 1 << rng.randrange(7)
        change = rng.randrange(6)
        if change == 0 and copy:
            copy[at % len(copy)] ^= 1 << rng.randrange(8)
        elif change == 1:
            size = rng.choice([1, 2, 4])
            copy[at : at + size] = (rng.choice(INTERESTING) & (256**size - 1)).to_bytes(
                size, rng.choice(["big", "little"])
            )
        elif change == 2:
            del copy[at : at + length]
        elif change == 3:
            copy[at:at] = copy[at : at + length] * rng.choice([1, 2, 8])
        elif change == 4:
            copy[at : at + length] = rng.randbytes(length)
        else:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            copy[at : at + length] = other[start : start + length]
    return bytes(copy[:LARGEST_INPUT])


def main() -> None:
    name, folder, corpus, findings, seconds, seed = sys.argv[1:]
    seat, deadline = Seat(Path(folder) / "seat"), time.monotonic() + float(seconds)
    try:
        import atheris
    except ImportError:
        atheris = None
    guided = (
        atheris.instrument_imports(include=["recipe", "flyai_local", "protocol", "yaml"]) if atheris else nullcontext()
    )
    with guided:
        target = TARGETS[name](Path(folder))
    known = {path.name: path.read_bytes() for path in Path(corpus).glob("*")} | target.seeds()

    def run(data: bytes) -> None:
        seat.begin(data[:LARGEST_INPUT])
        try:
            target.read(data)
        except target.expected:
            pass
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            save(Path(findings), f"{name}-{type(error).__name__}-{Path(place.filename).stem}-{place.lineno}", data)
        seat.end()

    if atheris is None:
        rng, inputs = random.Random(seed), list(known.values())
        while time.monotonic() < deadline:
            run(mutated(rng.choice(inputs), inputs, rng))
    else:
        Path(corpus).mkdir(parents=True, exist_ok=True)
        for label, data in known.items():
            (Path(corpus) / label).write_bytes(data)
        Path(folder, "artifacts").mkdir(exist_ok=True)
        options = [
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            "-max_len=65536",
            "-timeout=600",
            "-rss_limit_mb=0",
            f"-artifact_prefix={folder}/artifacts/",
        ]
        atheris.Setup([sys.argv[0], corpus, *options], run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
