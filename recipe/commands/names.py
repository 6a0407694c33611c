"""python -m recipe names [FAMILY]: the components that settings can name, with their settings and first lines."""

from __future__ import annotations

import argparse
import inspect

from protocol.errors import UserError
from protocol.language import tr
from protocol.nearest import nearest
from recipe import plugins
from recipe.components.families import FAMILIES, family


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The family, and whether timm's backbones are listed too."""
    parser.add_argument("family", nargs="?", help=tr("one of {families}; all without it", families=", ".join(FAMILIES)))
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE",
        help=tr("with those of a file beside main.py; repeatable"),
    )
    parser.add_argument(
        "--timm", action="store_true", help=tr("after the project's own backbones, those of timm that have weights")
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints a line per component."""
    if arguments.family and arguments.family not in FAMILIES:
        raise UserError(
            tr(
                "unknown family {family!r}.{nearest} Known: {families}.",
                family=arguments.family,
                nearest=nearest(arguments.family, FAMILIES),
                families=", ".join(FAMILIES),
            )
        )
    plugins.ask(",".join(arguments.plugin))
    for name in [arguments.family] if arguments.family else FAMILIES:
        print(f"\n{name}")
        for line in lines(name):
            print(f"  {line}")
    if arguments.timm:
        from recipe.models.classifier import timm_names

        print(tr("\nbackbone (timm)"), *timm_names(), sep="\n  ")
    return 0


def lines(name: str) -> list[str]:
    """`focal(gamma=2.0)  what it does`, one per component, aligned."""
    registry = family(name)
    calls = {
        component: f"{component}({', '.join(map(_setting, registry.settings(component).values()))})"
        for component in registry
    }
    width = min(48, max(map(len, calls.values()), default=0))
    return [f"{call:<{width}}  {tr(sentence(registry[component]))}" for component, call in calls.items()]


def _setting(parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is parameter.empty else f"={parameter.default}"
    return str(parameter).split(":")[0] + (default if ":" in str(parameter) else "")


def sentence(component: object) -> str:
    """What a component does, as its docstring begins."""
    return " ".join((inspect.getdoc(component) or "").split("\n\n")[0].split())
