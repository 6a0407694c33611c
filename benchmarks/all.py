"""Every benchmark, one after another, each in a process of its own.

    python -m benchmarks.all --json FILE --markdown docs/performance.md
    python -m benchmarks.all --json FILE --quick            # whether all of them run

The JSON is one list: the rows of all of them, each with the name of its benchmark. A benchmark that fails is named at
the end, and the rows of the others are kept; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.__main__ import names
from benchmarks.table import EXIT_CODES, ROOT, add_frame_flags
from recipe.system.atomic import write_json


def rows_of(name: str, options: argparse.Namespace) -> list[dict[str, object]] | None:
    """The rows of one benchmark; None where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        words = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file)]
        words += ["--quick"] if options.quick else []
        words += ["--markdown", str(options.markdown.resolve())] if options.markdown else []
        print(f"\n{name}: {names()[name]}", flush=True)
        done = subprocess.run(words, cwd=ROOT, check=False)
        return json.loads(file.read_text(encoding="utf-8")) if done.returncode == 0 else None


def main() -> int:
    """Runs them; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.all",
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_frame_flags(parser)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=list(names()), default=list(names()), help="these alone"
    )
    options = parser.parse_args()
    rows, failed = [], []
    for name in options.only:
        found = rows_of(name, options)
        rows += found or []
        failed += [name] if found is None else []
        if options.json:  # after each: an interrupted run keeps what it has
            write_json(options.json, rows)
    print(
        f"\n{len(rows)} rows of {len(options.only) - len(failed)} benchmarks"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
