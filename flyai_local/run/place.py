"""Where a failure stands: the submission's innermost line in the last traceback of a log; what its source defines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["NOWHERE", "Place", "defines", "holds", "innermost", "last_lines"]

FRAME = re.compile(r'File "([^"]+)", line (\d+)')
LAST_BYTES = 2**18  # of a log: a traceback is somewhere in them
LONGEST_LINE = 2000  # of a log, for patterns whose time grows with the square
MOST_SOURCES = 500
LARGEST_SOURCE = 2**21


class Place(NamedTuple):
    """A line of the submission; an empty file and 0 where none is known."""

    file: str = ""
    line: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.file else ""


NOWHERE = Place()


def last_lines(log: Path | None) -> list[str]:
    """The last lines of a log, each as far as it is looked at; none of one that is not there."""
    if log is None or not log.is_file():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LAST_BYTES))
        return [line[:LONGEST_LINE] for line in file.read().decode("utf-8", "replace").splitlines()]


def innermost(lines: Sequence[str], project: Path) -> Place:
    """The innermost frame that lies in the submission, not in a library, by the last traceback that has one."""
    for line in reversed(lines):
        found = FRAME.search(line)
        name = _own(found[1], project) if found else ""
        if found and name:
            number = int(found[2])
            return Place(name, number, _text(project / name, number))
    return Place()


def defines(project: Path, name: str) -> bool:
    """Whether a source of the submission defines a class or function of that name."""
    # Blanks, not \s: over empty lines that would take time that grows with the square of their number.
    definition = re.compile(rf"^[ \t]*(?:class|(?:async[ \t]+)?def)[ \t]+{re.escape(name)}\b", re.MULTILINE)
    return any(definition.search(source.read_text(encoding="utf-8", errors="replace")) for source in _sources(project))


def holds(project: Path, module: str) -> bool:
    """Whether the submission has a module or folder of that name at its top."""
    return (project / f"{module}.py").is_file() or (project / module).is_dir()


def _own(path: str, project: Path) -> str:
    """The path below the project, which the submission may have seen by another name; empty for any other file."""
    parts = Path(path).parts
    for at in range(len(parts) - 1, 0, -1):
        name = Path(*parts[at:])
        if parts[at - 1] == "project" and _readable(project / name, project):
            return name.as_posix()
    return ""


def _readable(file: Path, project: Path) -> bool:
    """Whether it is a file of usual size inside the project: a link that a submission laid may lead to anything."""
    inside = file.resolve().is_relative_to(project.resolve())
    return inside and file.is_file() and file.stat().st_size < LARGEST_SOURCE


def _text(source: Path, number: int) -> str:
    lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[number - 1].strip()[:200] if 0 < number <= len(lines) else ""


def _sources(project: Path) -> Iterator[Path]:
    found = (path for path in sorted(project.rglob("*.py")) if "data" not in path.relative_to(project).parts[:1])
    for _, path in zip(range(MOST_SOURCES), found, strict=False):
        if _readable(path, project):
            yield path
