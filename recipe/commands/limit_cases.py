"""Which test holds a component's limit case, and which an independent reference: docs/limit_cases.md.

A test says so itself: `@pytest.mark.limit("loss", "focal", "smoothing")` names a family and components of it;
`@pytest.mark.reference("recipe.training.step.average", "ExponentialMovingAverage")` a module and what stands in it. The
marks are read with `ast`, so no test is imported. The limit case is the "Limit:" line of the docstring; a component
that has one and no marked test fails the suite.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipe.components.families import FAMILIES, family

KINDS = ("limit", "reference")
HEAD = """# Limit cases and references

Written by `python -m recipe docs` from the "Limit:" lines of the docstrings and the `limit` and `reference` marks of
the tests; edit those.

A limit case is a setting at which a component must become something simpler, exactly. A reference is a second
computation of the same thing: another library's, a formula written out, or a step worked by hand.
"""


@dataclass(frozen=True)
class Mark:
    """One name in one mark: what a test says that it holds."""

    kind: str  # limit or reference
    place: str  # a family of components, or a module
    name: str
    test: str  # file::function, below tests/


def marks(tests: Path) -> list[Mark]:
    """All limit and reference marks of the test files of a folder, in their order."""
    return [mark for path in sorted(tests.rglob("test_*.py")) for mark in _marks_of(path, tests)]


def _marks_of(path: Path, tests: Path) -> Iterator[Mark]:
    file = path.relative_to(tests).with_suffix("").as_posix()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for decorator in node.decorator_list if isinstance(node, ast.FunctionDef) else []:
            kind = ast.unparse(decorator.func).removeprefix("pytest.mark.") if isinstance(decorator, ast.Call) else ""
            if kind in KINDS and isinstance(node, ast.FunctionDef) and isinstance(decorator, ast.Call):
                place, *names = [ast.literal_eval(argument) for argument in decorator.args]
                yield from (Mark(kind, place, name, f"{file}::{node.name}") for name in names)


def component(place: str, name: str) -> Any:
    """What a mark names.

    Raises:
        SpecError, AttributeError, ImportError: there is no such thing.
    """
    return family(place)[name] if place in FAMILIES else getattr(importlib.import_module(place), name)


def limit_of(thing: Any) -> str:
    """The text after "Limit:" in its docstring; empty where there is none."""
    return paragraph(inspect.getdoc(thing) or "", "Limit")


def paragraph(text: str, word: str) -> str:
    """The text after `Word:`, at a line's start or after a full stop, up to the next or a blank line; else empty."""
    match = re.search(
        rf"(?:^|\. ){word}s?: (.+?)(?=\n\n|\n[A-Z][a-z]+( of [^\n:]+)?:\s|\. Source: |\Z)",
        text,
        re.DOTALL | re.MULTILINE,
    )
    return " ".join(match[1].split()) if match else ""


def page(tests: Path) -> str:
    """docs/limit_cases.md: a table per family and one of the rest, each row with its limit case and its tests."""
    found: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: {kind: [] for kind in KINDS})
    for name in FAMILIES:
        for each in family(name):
            if limit_of(family(name)[each]):
                found[name, each]  # a row, tested or not
    for mark in marks(tests):
        found[mark.place, mark.name][mark.kind].append(mark.test)
    parts = [HEAD]
    for title, places in [
        *((name, [name]) for name in FAMILIES),
        ("beside the components", sorted({p for p, _ in found} - set(FAMILIES))),
    ]:
        rows = [_row(place, each, found[place, each]) for place, each in sorted(found) if place in places]
        parts.append(
            f"## {title}\n\n| what | limit case | held by | reference test |\n|---|---|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
    return "\n".join(parts)


def _row(place: str, name: str, tests: dict[str, list[str]]) -> str:
    what = name if place in FAMILIES else f"{place}.{name}"
    limit = limit_of(component(place, name)).replace("|", "\\|")
    return (
        f"| `{what}` | {limit} | "
        + " | ".join("<br>".join(f"`{test}`" for test in tests[kind]) for kind in KINDS)
        + " |"
    )
