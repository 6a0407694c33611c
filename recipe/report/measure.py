"""python -m recipe.report.measure RUN [RUNTIME]: a run loaded and asked in a process of its own, its cost as JSON.

A process of its own, because load time and peak memory of the one that has trained say nothing about serving.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

BEGIN = time.perf_counter()


def main(folder: Path, runtime: str = "auto") -> None:
    """Prints seconds to import and to load, milliseconds per picture one by one and in a batch, and peak memory."""
    import cv2
    import numpy as np

    from recipe.serving.predict import Ensemble

    imported = time.perf_counter()
    ensemble = Ensemble(folder, runtime=runtime)
    loaded = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "picture.jpg"
        path.write_bytes(
            cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (375, 500, 3), dtype=np.uint8))[1].tobytes()
        )
        single, batch = milliseconds(ensemble, [path]), milliseconds(ensemble, [path] * 16)
    passes = sum(member.passes for member in ensemble.members)
    found = {
        "import_seconds": imported - BEGIN,
        "load_seconds": loaded - imported,
        "single_ms": single,
        "batch_ms": batch,
    }
    print(json.dumps(found | {"device": ensemble.how, "peak_mb": peak_mb(), "passes": passes}))


def milliseconds(ensemble, paths: list[Path], most_seconds: float = 1.0) -> float:  # type: ignore[no-untyped-def]
    """The best of a few passes, per picture, decoding included."""
    ensemble.probs(paths)
    times: list[float] = []
    while len(times) < 2 or (sum(times) < most_seconds and len(times) < 10):
        begin = time.perf_counter()
        ensemble.probs(paths)
        times.append(time.perf_counter() - begin)
    return 1000 * min(times) / len(paths)


def peak_mb() -> float | None:
    """The most memory this process has held, in MB of 2**20 bytes; None on systems that do not say (Windows).

    On Linux `ru_maxrss` begins with what the parent held when it forked; VmHWM counts from the start of this program.
    """
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 2**10
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
