"""What lies in the folder: files that must be there, files that must not travel, sources and cards that can be read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from flyai_local.checks.findings import Finding, Hint, Severity
from flyai_local.checks.project import Project, Source, Target, parsed
from flyai_local.states import Code
from flyai_local.submission.pack import Selection, select
from flyai_local.submission.submission import read
from flyai_local.submission.unpack import ArchiveError

__all__ = ["open_project"]

SDK_NAMES = {"flyai"}  # a shipped flyai_sdk.py is usual, and the stand-in wins over it


def open_project(folder: Path, target: Target) -> tuple[Project | None, list[Finding]]:
    """The project in a folder and what is wrong with its files; None when it is no submission at all."""
    selection = select(folder)
    findings = [Finding(Hint(each.kind), Severity.ERROR, each.file, each.line, each.text) for each in selection.refused]
    findings += [*_cards(folder), *_shadows(selection)]
    try:
        submission = read(folder)
    except ArchiveError as error:
        return None, [*findings, Finding(error.code, Severity.ERROR, "", 0, str(error))]
    columns = submission.columns[:1] if submission.columns else target.columns
    project = Project(folder, selection, submission.generation, Target(columns, target.label))
    findings += list(_parse(project))
    return project, findings


def _parse(project: Project) -> Iterator[Finding]:
    """Parse every source; one that cannot be parsed fails only where something reaches it."""
    broken = {}
    for name, file in project.selection.files.items():
        if file.suffix == ".py":
            try:
                project.sources[name] = Source(name, parsed(file.read_bytes()))
            except (SyntaxError, ValueError, RecursionError) as error:
                broken[name] = Finding(
                    Code.SYNTAX_ERROR,
                    Severity.ERROR,
                    name,
                    getattr(error, "lineno", 0) or 0,
                    f"{type(error).__name__}: {error}",
                )
    reached = {name for source in project.reached for each in source.imports for name in each.names}
    project.unread += broken
    for name, finding in broken.items():
        module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if "/" not in name or module in reached:
            yield finding


def _cards(folder: Path) -> Iterator[Finding]:
    for name in ("app.json", "app.yaml"):
        file = folder / name
        if not file.is_file():
            continue
        try:
            text = file.read_text(encoding="utf-8-sig")
            card = json.loads(text) if name == "app.json" else next(yaml.safe_load_all(text), None)
        except (ValueError, yaml.YAMLError) as error:
            yield Finding(Hint.BAD_CARD, Severity.ERROR, name, _line(error), " ".join(str(error).split())[:200])
            continue
        if not isinstance(card, dict):
            yield Finding(Hint.BAD_CARD, Severity.ERROR, name, 1, "it holds no names with values")


def _line(error: Exception) -> int:
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark is not None else int(getattr(error, "lineno", 0))


def _shadows(selection: Selection) -> Iterator[Finding]:
    for name in selection.files:
        top = name.split("/")[0].removesuffix(".py")
        if name in (f"{top}.py", f"{top}/__init__.py"):
            if top in SDK_NAMES:
                yield Finding(
                    Hint.SHADOWED_MODULE, Severity.ERROR, name, 0, f"`import {top}` finds this file instead of the SDK"
                )
            elif top in sys.stdlib_module_names:
                yield Finding(
                    Hint.SHADOWED_MODULE,
                    Severity.WARNING,
                    name,
                    0,
                    f"`import {top}` finds this file instead of Python's module",
                )
