"""python -m recipe docs: writes docs/components.md, settings.md and limit_cases.md, which a test keeps fresh.

A test says itself which limit case or reference it holds: `@pytest.mark.limit("loss", "focal", "smoothing")` names a
family and components of it; `@pytest.mark.reference("recipe.training.step.average", "ExponentialMovingAverage")` a
module and what stands in it. The marks are read with `ast`, so no test is imported. The limit case is the "Limit:" line
of the docstring; a component that has one and no marked test fails the suite.
"""

from __future__ import annotations

import argparse
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
from recipe.config import Config

DOCS = Path(__file__).resolve().parents[2] / "docs"
GENERATED = "Written by `python -m recipe docs`; edit the docstrings instead."
KINDS = ("limit", "reference")
HEAD = """# Limit cases and references

Written by `python -m recipe docs` from the "Limit:" lines of the docstrings and the `limit` and `reference` marks of
the tests; edit those.

A limit case is a setting at which a component must become something simpler, exactly. A reference is a second
computation of the same thing: another library's, a formula written out, or a step worked by hand.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose."""


def run(arguments: argparse.Namespace) -> int:
    """Writes the files."""
    for name, text in generated().items():
        (DOCS / name).write_text(text, encoding="utf-8", newline="\n")
        print(f"docs/{name}")
    return 0


def generated() -> dict[str, str]:
    """The text of every generated document, by file name."""
    tests = DOCS.parent / "tests"
    return {"components.md": components(), "settings.md": settings(), "limit_cases.md": limit_cases(tests)}


def components() -> str:
    """A table per family: the component with its settings, what it does, its limit case and its source."""
    parts = [
        "# Components",
        "",
        GENERATED,
        "",
        "A setting names one as `name` or `name(setting=value)`, nested where it wraps another.",
    ]
    for name, (_, setting) in FAMILIES.items():
        parts += ["", f"## {name}" + (f" (`--{setting.replace('_', '-')}`)" if setting else ""), ""]
        parts += ["| component | what it does | limit case | source |", "|---|---|---|---|"]
        parts += [_row(name, component) for component in family(name)]
    return "\n".join(parts) + "\n"


def _row(name: str, component: str) -> str:
    registry = family(name)
    text = inspect.getdoc(registry[component]) or ""
    call = f"{component}({', '.join(_setting(p) for p in registry.settings(component).values())})"
    return (
        f"| `{call}` | {_cell(text.split(chr(10) * 2)[0])} | "
        f"{_cell(paragraph(text, 'Limit'))} | {_cell(paragraph(text, 'Source'))} |"
    )


def _setting(parameter: inspect.Parameter) -> str:
    star = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else ""
    default = (
        ""
        if parameter.default is parameter.empty
        else f"={parameter.default if not isinstance(parameter.default, str) else repr(parameter.default)}"
    )
    return f"{star}{parameter.name}{default}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def settings() -> str:
    """A table of all settings with default and meaning."""
    parts = [
        "# Settings",
        "",
        GENERATED,
        "",
        "In app.yaml under `recipe` or a profile; on the command line as `--name value`. What is named later in "
        "this row wins: the defaults below, `recipe`, the profile in use, the command line. Columns and metric: the "
        "competition's card (competition.json beside train.csv), app.yaml for the competition that it names, "
        "the command line. "
        "`--resume` takes all of it from the run that lies there. `python main.py --help SECTION` shows a part of "
        "the list. Words are completed by the shell with `pip install argcomplete` and "
        "`activate-global-python-argcomplete`.",
        "",
    ]
    parts += ["| setting | default | what it is |", "|---|---|---|"]
    parts += [
        f"| `{name}` | `{field.default if field.default != '' else ' '}` | {_cell(field.description or '')} |"
        for name, field in Config.model_fields.items()
    ]
    return "\n".join(parts) + "\n"


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


def limit_cases(tests: Path) -> str:
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
        rows = [_limit_row(place, each, found[place, each]) for place, each in sorted(found) if place in places]
        parts.append(
            f"## {title}\n\n| what | limit case | held by | reference test |\n|---|---|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
    return "\n".join(parts)


def _limit_row(place: str, name: str, tests: dict[str, list[str]]) -> str:
    what = name if place in FAMILIES else f"{place}.{name}"
    limit = limit_of(component(place, name)).replace("|", "\\|")
    return (
        f"| `{what}` | {limit} | "
        + " | ".join("<br>".join(f"`{test}`" for test in tests[kind]) for kind in KINDS)
        + " |"
    )
