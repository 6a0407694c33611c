"""Paths that hold only for one working directory, or that leave the project."""

from __future__ import annotations

from collections.abc import Iterator

from flyai_local.checks.findings import Finding, Hint, Severity
from flyai_local.checks.project import Project
from flyai_local.checks.streams import loads, saves
from flyai_local.checks.values import UNKNOWN, anchored, plain
from protocol.language import tr

__all__ = ["check"]


def check(project: Project) -> Iterator[Finding]:
    """A finding per file that leaves the project, and one per source file with paths from the working directory."""
    seen: set[str] = set()
    for access in [*loads(project.serving, project), *saves(project.training, project)]:
        path = access.path
        if path in ("", ".", UNKNOWN):
            continue
        if plain(path).startswith("../"):
            text = tr("{path!r} lies outside of the project", path=plain(path))
            yield Finding(Hint.OUTSIDE_PATH, Severity.WARNING, access.source.name, access.call.lineno, text)
        elif not anchored(path) and access.source.name not in seen:
            seen.add(access.source.name)
            text = tr("{path!r} is looked for in the working directory", path=path)
            yield Finding(Hint.RELATIVE_PATH, Severity.WARNING, access.source.name, access.call.lineno, text)
