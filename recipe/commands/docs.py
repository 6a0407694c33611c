"""python -m recipe docs: writes docs/components.md, settings.md and limit_cases.md, which a test keeps fresh."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

from recipe.commands.limit_cases import page, paragraph
from recipe.components.families import FAMILIES, family
from recipe.config import Config

DOCS = Path(__file__).resolve().parents[2] / "docs"
GENERATED = "Written by `python -m recipe docs`; edit the docstrings instead."


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
    return {"components.md": components(), "settings.md": settings(), "limit_cases.md": page(tests)}


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
