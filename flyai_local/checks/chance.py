"""Whether training saves only what is better, so that a short run on few rows may save nothing by chance."""

from __future__ import annotations

import ast

from flyai_local.checks.project import Project, Source, dotted

__all__ = ["saves_if_better"]


def saves_if_better(project: Project) -> bool:
    """Whether something is saved below a comparison in the code that training runs.

    A network that has learnt nothing finds none of 8 validation rows of K classes in (1 - 1/K)**8 of all runs.
    """
    return any(_compares(node) and _saves(node) for source in project.training for node in _conditions(source))


def _conditions(source: Source) -> list[ast.If]:
    return [node for node in source.nodes if isinstance(node, ast.If)]


def _compares(condition: ast.If) -> bool:
    """Whether it asks which of two is more; `__name__ == "__main__"` asks another thing."""
    more = (ast.Gt, ast.GtE, ast.Lt, ast.LtE)
    found = (node for node in ast.walk(condition.test) if isinstance(node, ast.Compare))
    return any(isinstance(each, more) for node in found for each in node.ops)


def _saves(condition: ast.If) -> bool:
    calls = (node for part in condition.body for node in ast.walk(part) if isinstance(node, ast.Call))
    return any("save" in (dotted(call.func).rpartition(".")[2] or _name(call.func)).lower() for call in calls)


def _name(called: ast.expr) -> str:
    """The last name of what is called, whatever it is called on."""
    return called.attr if isinstance(called, ast.Attribute) else ""
