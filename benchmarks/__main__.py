"""Lists the benchmarks.

python -m benchmarks
"""

from __future__ import annotations

import ast
from pathlib import Path

FRAME = ("__init__", "__main__", "table", "all")


def names() -> dict[str, str]:
    """First line of the docstring of every module that measures, by name; nothing is imported for it."""
    files = sorted(
        path for path in Path(__file__).parent.glob("*.py") if path.stem not in FRAME and not path.stem.startswith("_")
    )
    trees = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in files}
    programs = {
        stem: tree for stem, tree in trees.items() if any(getattr(node, "name", "") == "measure" for node in tree.body)
    }
    return {stem: (ast.get_docstring(tree) or "").split("\n", 1)[0] for stem, tree in programs.items()}


if __name__ == "__main__":
    for stem, line in names().items():
        print(f"python -m benchmarks.{stem:10} {line}")
    print(
        "python -m benchmarks.fuzz       Throws mutated files at a reader; python -m benchmarks.decode_matrix "
        "compares decoders. Not timed."
    )
    print(
        "python -m benchmarks.all        All of them, into one list of rows. "
        "Each takes --quick, --json FILE and --markdown FILE."
    )
