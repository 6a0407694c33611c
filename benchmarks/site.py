"""How a contest site holds out: requests, uploads, its queue. Linux.

    python -m benchmarks.site                        # every part, about eight minutes; one JSON line each
    python -m benchmarks.site board --seconds 60     # one part

cost     processor time of a request (load does not change it)
board    300 people poll every 5 s, 30 uploads a minute, two workers, while this project itself trains as a submission
uploads  uploads of 200 kB taken a minute
large    the site's memory under an upload of --gb GB
queue    2,000 runs, four workers, on SQLite and on PostgreSQL
kills    1,000 runs while a worker is killed each second for a minute, on both

Client and server share the machine, so the load stands beside every line. Goals: board p95 <= 100 ms, 600 uploads a
minute, flat memory, every run ended once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PARTS = ("cost", "board", "uploads", "large", "queue", "kills")


def main() -> int:
    """Measure and print; the exit code."""
    args = _arguments()
    if len(args.parts) > 1:  # each in a process of its own: Django is set up once per process
        given = [word for word in sys.argv[1:] if word not in PARTS]
        codes = [
            subprocess.run([sys.executable, "-m", "benchmarks.site", part, *given]).returncode for part in args.parts
        ]
        return max(codes)
    part = args.parts[0]
    for line in _lines(part, args):
        print(json.dumps({"part": part, **line, "load": round(os.getloadavg()[0], 1)}), flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.site", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (all)")
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks of a person (%(default)g)")
    parser.add_argument("--uploads", type=float, default=30, help="a minute, beside the people (%(default)g)")
    parser.add_argument("--workers", type=int, default=2, help="beside the people (%(default)s); 0: nothing trains")
    parser.add_argument("--seconds", type=float, default=60, help="of board, uploads and kills (%(default)g)")
    parser.add_argument("--gb", type=float, default=10, help="of the large upload (%(default)g)")
    parser.add_argument("--jobs", type=int, default=0, help="runs of queue (2000) and kills (1000)")
    args = parser.parse_args()
    args.parts = args.parts or list(PARTS)
    if wrong := [part for part in args.parts if part not in PARTS]:
        parser.error(f"there is no part {wrong[0]!r}: {', '.join(PARTS)}")
    return args


def _lines(part: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    from benchmarks import site_cost, site_load

    if part == "cost":
        return [site_cost.cost(args.people, 20)]
    if part == "board":
        return [site_load.people(args.people, args.every, args.uploads, args.seconds, args.workers)]
    if part == "uploads":
        return [site_load.uploads(200_000, args.seconds)]
    if part == "large":
        return [site_load.large(args.gb)]
    return _queue(part, args)


def _queue(part: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    from benchmarks.site_postgres import fresh_database, postgres
    from benchmarks.site_queue import Farm, killed, shared
    from flyai_site.settings import Options, configure

    lines = []
    with tempfile.TemporaryDirectory() as folder, postgres() as server:
        configure(Options(Path(folder) / "site"))
        for name in ("SQLite", *(["PostgreSQL"] if server else [])):
            url = fresh_database(server) if server and name == "PostgreSQL" else ""
            if part == "queue":
                told = shared(Farm(Options(Path(folder) / "site", url, lease_seconds=60.0)), args.jobs or 2000)
            else:
                farm = Farm(Options(Path(folder) / "site", url, lease_seconds=2.0))
                told = killed(farm, args.jobs or 1000, round(args.seconds), 1.0)
            lines.append({"database": name, **told})
    return lines


if __name__ == "__main__":
    sys.exit(main())
