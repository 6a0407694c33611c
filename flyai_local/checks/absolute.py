"""Absolute paths in the source: which of them the code uses, and which only stand there."""

from __future__ import annotations

import ast

from flyai_local.checks.project import Project, Source, dotted

__all__ = ["used"]

# Calls to which a path that is not there does nothing.
HARMLESS = {"sys.path.append", "sys.path.insert", "print", "add_argument", "exists", "isfile", "isdir", "is_file"}
HARMLESS |= {"is_dir", "startswith", "endswith", "replace", "setdefault", "lstrip", "rstrip", "strip", "split", "info"}


def used(line: int, source: Source, project: Project) -> bool:
    """True when a path on that line is in code that runs, and nothing around it lets the program go on without it."""
    nodes = [node for node in source.nodes if isinstance(node, ast.Constant) and node.lineno == line]
    return any(isinstance(node.value, str) and not _idle(node, source, project) for node in nodes)


def _idle(node: ast.Constant, source: Source, project: Project) -> bool:
    return not project.runs(source, node) or _excused(node, source) or _never_read(node, source, project)


def _excused(node: ast.Constant, source: Source) -> bool:
    """True where the path is one of several possibilities: in a condition, a comparison, a try, a default value."""
    below: ast.AST = node
    for above in source.above(node):
        if isinstance(above, (ast.If, ast.IfExp, ast.Try, ast.Compare, ast.arguments)):
            return True
        if isinstance(above, ast.Call) and below is not above.func and _harmless(above, source):
            return True
        if isinstance(above, ast.Assign) and any(_setting(target, source) for target in above.targets):
            return True
        below = above
    return False


def _harmless(call: ast.Call, source: Source) -> bool:
    name = dotted(call.func) or getattr(call.func, "attr", "")
    return name in HARMLESS or source.full_name(call.func) in HARMLESS or name.rpartition(".")[2] in HARMLESS


def _setting(target: ast.expr, source: Source) -> bool:
    """True for `os.environ["X"] = ...`."""
    return isinstance(target, ast.Subscript) and source.full_name(target.value) == "os.environ"


def _never_read(node: ast.Constant, source: Source, project: Project) -> bool:
    """True for `NAME = "/home/..."` whose name is read nowhere, or is given another value further down."""
    parent = source.parents.get(node)
    if not isinstance(parent, ast.Assign) or parent.value is not node or len(parent.targets) != 1:
        return False
    name = getattr(parent.targets[0], "id", getattr(parent.targets[0], "attr", ""))
    if not name:
        return False
    later = [each for each in source.nodes if isinstance(each, ast.Assign) and each.lineno > parent.lineno]
    if source.function(node) is None and any(dotted(t) == dotted(parent.targets[0]) for e in later for t in e.targets):
        return True
    return not any(_reads(each, name) for other in project.reached for each in other.nodes)


def _reads(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Name):
        return node.id == name and isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Attribute):
        return node.attr == name and isinstance(node.ctx, ast.Load)
    return isinstance(node, ast.alias) and name in (node.name, "*") and node.name == name
