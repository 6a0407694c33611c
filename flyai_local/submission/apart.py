"""Looks at a submission in a process of its own: `python -I apart.py ids|read FOLDER`, which prints JSON.

Parsers of Python and YAML take time and memory that their text can choose, and a deep enough text ends the process that
parses it. Here that ends one look, and the submission, but not the platform.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from flyai_local.states import Code
from flyai_local.submission.submission import Submission
from flyai_local.submission.submission import ids as ids_here
from flyai_local.submission.submission import read as read_here
from flyai_local.submission.unpack import ArchiveError
from protocol.language import tr

__all__ = ["ids", "read"]

SECONDS = 60
MEMORY = 2 * 2**30
LONGEST_ANSWER = 2**20


def read(folder: Path) -> Submission:
    """What `submission.read` finds in the folder.

    Raises:
        ArchiveError: what `submission.read` raises, and when the look takes too much time or memory.
    """
    found = _asked("read", folder)
    if "code" in found:
        raise ArchiveError(Code(found["code"]), found["text"])
    columns = found["columns"] and (found["columns"][0], found["columns"][1])
    return Submission(found["generation"], tuple(found["ids"]), columns, found["metric"], frozenset(found["asks"]))


def ids(folder: Path) -> tuple[str, ...]:
    """What `submission.ids` finds in the folder; nothing where the look takes too much."""
    try:
        return tuple(_asked("ids", folder)["ids"])
    except ArchiveError:
        return ()


def _asked(what: str, folder: Path) -> dict[str, Any]:
    line = [sys.executable, "-I", str(Path(__file__).resolve()), what, str(folder.resolve())]
    try:
        child = subprocess.run(line, capture_output=True, timeout=SECONDS, check=False)
        answer = json.loads(child.stdout[:LONGEST_ANSWER])
    except (subprocess.TimeoutExpired, ValueError):
        raise ArchiveError(
            Code.BAD_FOLDER,
            tr(
                "its files cannot be looked at within {seconds} s and {memory} GB: leave generated code out",
                seconds=SECONDS,
                memory=MEMORY // 2**30,
            ),
        ) from None
    return dict(answer)


def _answer(what: str, folder: Path) -> dict[str, Any]:
    if what == "ids":
        return {"ids": list(ids_here(folder))}
    try:
        found = read_here(folder)
    except ArchiveError as error:
        return {"code": error.code.value, "text": str(error)}
    return {
        "generation": found.generation,
        "ids": list(found.ids),
        "columns": found.columns,
        "metric": found.metric,
        "asks": sorted(text for text in found.asks if len(text) <= 64)[:5000],
    }


def _bound() -> None:
    with contextlib.suppress(ImportError, ValueError):  # Windows has none of these limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _bound()
    print(json.dumps(_answer(sys.argv[1], Path(sys.argv[2]))))
