"""Imports against requirements.txt: a package that is not listed is missing online."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import replace

from flyai_local.checks.findings import Finding, Hint, Severity
from flyai_local.checks.project import Imported, Project, Source, dotted
from flyai_local.run.requirements import OWN_LINE, Line, lines
from flyai_local.states import Code
from flyai_local.submission.baseline import BASELINE, GONE_FROM_PYTHON
from flyai_local.submission.package_names import OTHER_NAMES, brought, normal, packages_of
from protocol.language import tr

__all__ = ["check"]

ALWAYS = {"flyai", "flyai_sdk", "pip", "setuptools", "pkg_resources"}
FORGIVING = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
STARTING = ("main.py", "prediction.py", "model.py", "processor.py")


def check(project: Project) -> Iterator[Finding]:
    """Modules that nothing brings, and requirement lines that bring nothing."""
    listed = list(lines(project.folder / "requirements.txt"))
    yield from _bogus(listed)
    available = brought(line.text for line in listed if not line.skip and not _module_name(line))
    missing: dict[str, Finding] = {}
    unlisted: dict[str, Finding] = {}
    for source in project.reached:
        for each in source.imports:
            top = each.names[0].split(".")[0]
            known = missing.get(top)
            if (
                (known and known.severity is Severity.ERROR)
                or not project.runs(source, each.node)
                or _excused(source, each)
                or _there(project, each, top, available)
            ):
                continue
            if not project.own(top) and any(name in BASELINE for name in packages_of(top)):
                unlisted.setdefault(
                    top, Finding(Hint.UNLISTED_PACKAGE, Severity.NOTE, source.name, each.node.lineno, top)
                )
                continue
            found = Finding(
                Code.MISSING_PACKAGE,
                _severity(source, each),
                source.name,
                each.node.lineno,
                _missing(project, each, top),
            )
            missing[top] = found if known is None or found.severity is Severity.ERROR else known
    yield from missing.values()
    if unlisted:  # one for all
        first = next(iter(unlisted.values()))
        yield replace(first, detail=tr("imported and not listed: {unlisted}", unlisted=", ".join(sorted(unlisted))))


def _severity(source: Source, each: Imported) -> Severity:
    """A module that a function imports, deep in the project, may never be asked for."""
    certain = source.name in STARTING or source.at_import(each.node) or source.as_program(each.node)
    return Severity.ERROR if certain else Severity.WARNING


def _there(project: Project, each: Imported, top: str, available: set[str]) -> bool:
    """True when the module is the project's own, Python's, the SDK's, or in a listed package."""
    if each.local or project.own(top):
        return not _own_but_gone(project, each, top)
    python = top in sys.stdlib_module_names or top in GONE_FROM_PYTHON
    return top in ALWAYS or python or any(name in available for name in packages_of(top))


def _own_but_gone(project: Project, each: Imported, top: str) -> bool:
    """True for `import utils.pictures` where the folder utils is there and the module is not."""
    if (
        each.local
        or project.searches_folders
        or project.module(top)
        or not any(name.startswith(f"{top}/") for name in project.sources)
    ):
        return False
    folder = each.names[0].replace(".", "/") + "/"
    return project.module(each.names[0]) is None and not any(
        name.startswith(folder) for name in project.selection.files
    )


def _missing(project: Project, each: Imported, top: str) -> str:
    if project.own(top):
        return tr("the submission holds no module {names}", names=each.names[0])
    package = packages_of(top)[0]
    where = (
        tr("no line of requirements.txt brings it")
        if (project.folder / "requirements.txt").is_file()
        else tr("there is no requirements.txt")
    )
    return tr(
        "import of {top}: {where} and no file of the submission is called {top}.py; its package is {package}",
        top=top,
        where=where,
        package=package,
    )


def _excused(source: Source, each: Imported) -> bool:
    """True when the code goes on without the module, or never runs the import."""
    for node in source.above(each.node):
        if (
            isinstance(node, ast.Try)
            and any(_forgives(handler) for handler in node.handlers)
            and _inside(source, each.node, node.body)
        ):
            return True
        if isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING"):
            return True
    return False


def _forgives(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or dotted(kind) in FORGIVING for kind in kinds)


def _inside(source: Source, node: ast.AST, body: list[ast.stmt]) -> bool:
    return node in body or any(each in body for each in source.above(node))


def _bogus(listed: list[Line]) -> Iterator[Finding]:
    for line in listed:
        if line.skip and line.skip != OWN_LINE:
            yield Finding(
                Hint.REQUIREMENT_LINE,
                Severity.WARNING,
                "requirements.txt",
                line.number,
                f"{line.text!r}: {tr(line.skip)}",
            )
        elif not line.skip and (module := _module_name(line)):
            package = OTHER_NAMES[module][0]
            yield Finding(
                Hint.REQUIREMENT_LINE,
                Severity.WARNING,
                "requirements.txt",
                line.number,
                tr("{given!r}: the package is {package}", given=line.text, package=package),
            )


def _module_name(line: Line) -> str:
    """The module whose import name stands where its package's name should; empty when there is none."""
    return next(
        (module for module, names in OTHER_NAMES.items() if normal(module) not in names and _named(line, module)), ""
    )


def _named(line: Line, module: str) -> bool:
    end = next((at for at, letter in enumerate(line.text) if letter in "=<>!~;[ "), len(line.text))
    return normal(line.text[:end]) == normal(module)
