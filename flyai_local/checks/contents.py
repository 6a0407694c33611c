"""What lies in the folder: files that must be there, files that must not travel, sources and cards that can be read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from flyai_local.checks import absolute
from flyai_local.checks.findings import Finding, Hint, Severity
from flyai_local.checks.project import Project, Source, Target, parsed
from flyai_local.errors import UserError
from flyai_local.states import Code
from flyai_local.submission import appcard
from flyai_local.submission.pack import Selection, select
from flyai_local.submission.refusals import Refused
from flyai_local.submission.submission import read
from flyai_local.submission.unpack import ArchiveError
from protocol.language import tr
from protocol.plain_files import parse_yaml

__all__ = ["judged", "open_project"]

SDK_NAMES = {"flyai"}  # a shipped flyai_sdk.py is usual, and the stand-in wins over it


def open_project(folder: Path, target: Target) -> tuple[Project | None, list[Finding]]:
    """The project in a folder and what is wrong with its files; None when it is no submission at all."""
    selection = select(folder)
    findings = [*_cards(folder), *_shadows(selection)]
    try:
        submission = read(folder)
    except ArchiveError as error:
        refused = [_finding(each, Severity.ERROR) for each in selection.refused]
        return None, [*refused, *findings, Finding(error.code, Severity.ERROR, "", 0, str(error))]
    columns = submission.columns[:1] if submission.columns else target.columns
    project = Project(folder, selection, submission.generation, Target(columns, target.label))
    findings += list(_parse(project))
    return project, [*(_finding(each, judged(each, project)) for each in selection.refused), *findings]


def judged(refused: Refused, project: Project) -> Severity:
    """How much weighs what `pack` found in a file: an absolute path only where the code comes to it and uses it."""
    if refused.kind != Hint.ABSOLUTE_PATH.value:
        return Severity.ERROR
    source = project.sources.get(refused.file)
    return Severity.ERROR if source is not None and absolute.used(refused.line, source, project) else Severity.WARNING


def _finding(refused: Refused, severity: Severity) -> Finding:
    return Finding(Hint(refused.kind), severity, refused.file, refused.line, refused.text)


def _parse(project: Project) -> Iterator[Finding]:
    """Parse every source; one that cannot be parsed fails only where something reaches it."""
    broken: dict[str, Exception] = {}
    for name, file in project.selection.files.items():
        if file.suffix == ".py":
            try:
                project.sources[name] = Source(name, parsed(file.read_bytes()))
            except (SyntaxError, ValueError, RecursionError) as error:
                broken[name] = error
    project.unread += broken
    for name, why in broken.items():
        yield _unparsed(name, why, project)


def _unparsed(name: str, error: Exception, project: Project) -> Finding:
    line, text = getattr(error, "lineno", 0) or 0, f"{type(error).__name__}: {error}"
    if name not in project.touched:
        return Finding(
            Code.SYNTAX_ERROR, Severity.WARNING, name, line, tr("nothing imports this file; {given}", given=text)
        )
    try:
        parsed(project.selection.files[name].read_bytes(), (3, 6))
    except (SyntaxError, ValueError, RecursionError):
        return Finding(Code.SYNTAX_ERROR, Severity.ERROR, name, line, text)
    later = tr("the platform's Python 3.6 read this; later ones keep `async` and `await` for themselves")
    return Finding(
        Code.SYNTAX_ERROR,
        Severity.WARNING,
        name,
        line,
        tr("{later} (non_blocking=True for torch); {given}", later=later, given=text),
    )


def _cards(folder: Path) -> Iterator[Finding]:
    """A card that cannot be read: an error in app.yaml, which the SDK of 1.x reads; app.json only describes."""
    for name in ("app.json", "app.yaml"):
        file = folder / name
        if not file.is_file():
            continue
        severity = Severity.ERROR if name == "app.yaml" else Severity.WARNING
        try:
            text = appcard.read_text(file)
            card = json.loads(text) if name == "app.json" else parse_yaml(text)
        except (ValueError, RecursionError, UserError) as error:
            yield Finding(Hint.BAD_CARD, severity, name, _line(error), " ".join(str(error).split())[:200])
            continue
        if not isinstance(card, dict):
            yield Finding(Hint.BAD_CARD, severity, name, 1, tr("it holds no names with values"))


def _line(error: Exception) -> int:
    return int(getattr(error, "line", 0) or getattr(error, "lineno", 0))


def _shadows(selection: Selection) -> Iterator[Finding]:
    for name in selection.files:
        top = name.split("/")[0].removesuffix(".py")
        if name in (f"{top}.py", f"{top}/__init__.py"):
            if top in SDK_NAMES:
                yield Finding(
                    Hint.SHADOWED_MODULE,
                    Severity.ERROR,
                    name,
                    0,
                    tr("`import {top}` finds this file instead of the SDK", top=top),
                )
            elif top in sys.stdlib_module_names:
                yield Finding(
                    Hint.SHADOWED_MODULE,
                    Severity.WARNING,
                    name,
                    0,
                    tr("`import {top}` finds this file instead of Python's module", top=top),
                )
