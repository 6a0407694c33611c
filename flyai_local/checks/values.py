"""What a path in the source will be, as far as it can be read without running anything.

    os.path.join(MODEL_PATH, "best.pth")    ->  <root>/data/output/model/best.pth
    "./trained/" + name                     ->  trained/?

`<root>` stands for a path that is anchored at the project root (by __file__, sys.path[0], or path.py), `?` for a part
that only a run could tell.
"""

from __future__ import annotations

import ast
import posixpath
from pathlib import PurePosixPath

from flyai_local.checks.project import Project, Source, dotted

__all__ = ["ROOT", "UNKNOWN", "anchored", "known_name", "path_of", "plain"]

ROOT, UNKNOWN = "<root>", "?"
DEEPEST = 20
PLATFORM = {"flyai_sdk.MODEL_PATH": f"{ROOT}/data/output/model", "flyai_sdk.DATA_PATH": f"{ROOT}/data/input"}
PLATFORM["flyai.source.base.DATA_PATH"] = f"{ROOT}/data/input"
SAME = {"str", "os.path.abspath", "os.path.realpath", "os.path.normpath", "os.path.expanduser", "os.fspath"}
PATHS = {"pathlib.Path", "pathlib.PurePath", "os.path.join"}
SAME_METHODS = {"resolve", "absolute", "as_posix", "expanduser"}


def path_of(node: ast.AST, source: Source, project: Project, depth: int = 0) -> str:
    """The path or text that an expression gives, with `?` for what is not known."""
    if depth > DEEPEST:
        return UNKNOWN
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else UNKNOWN
    if isinstance(node, ast.JoinedStr):
        return "".join(path_of(part, source, project, depth + 1) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)):
        between = "/" if isinstance(node.op, ast.Div) else ""
        return (
            path_of(node.left, source, project, depth + 1) + between + path_of(node.right, source, project, depth + 1)
        )
    if isinstance(node, ast.Call):
        return _called(node, source, project, depth)
    if isinstance(node, (ast.Name, ast.Attribute)):
        return _named(node, source, project, depth)
    if isinstance(node, ast.Subscript) and source.full_name(node.value) == "sys.path":
        return ROOT if isinstance(node.slice, ast.Constant) and node.slice.value == 0 else UNKNOWN
    return UNKNOWN


def plain(path: str) -> str:
    """The path relative to the project root, normalised: `./a//b` and `<root>/a/b` are both `a/b`."""
    return posixpath.normpath(path.replace("\\", "/").removeprefix(ROOT).lstrip("/") if path.startswith(ROOT) else path)


def anchored(path: str) -> bool:
    """True when the path does not depend on the working directory, or when its beginning is not known."""
    return path.startswith((ROOT, UNKNOWN, "/")) or path == ""


def known_name(path: str) -> str:
    """The file name at the end of a path; empty when it is not known."""
    name = PurePosixPath(plain(path)).name
    return "" if UNKNOWN in name else name


def _called(node: ast.Call, source: Source, project: Project, depth: int) -> str:
    name = source.full_name(node.func)
    if name == "os.getcwd":
        return "."
    if name in SAME and node.args:
        return path_of(node.args[0], source, project, depth + 1)
    if name in PATHS:
        return "/".join(path_of(part, source, project, depth + 1) for part in node.args)
    if name == "os.path.dirname" and node.args:
        return posixpath.dirname(path_of(node.args[0], source, project, depth + 1)) or "."
    if isinstance(node.func, ast.Attribute) and node.func.attr in SAME_METHODS:
        return path_of(node.func.value, source, project, depth + 1)
    if isinstance(node.func, ast.Attribute) and node.func.attr == "joinpath":
        return "/".join(path_of(part, source, project, depth + 1) for part in [node.func.value, *node.args])
    return UNKNOWN


def _named(node: ast.Name | ast.Attribute, source: Source, project: Project, depth: int) -> str:
    name = source.full_name(node)
    if name == "__file__":
        return f"{ROOT}/{source.name}"
    if name in PLATFORM:
        return PLATFORM[name]
    if isinstance(node, ast.Attribute) and node.attr == "parent":
        return posixpath.dirname(path_of(node.value, source, project, depth + 1)) or "."
    values = _assigned(node, source)
    if values:
        paths = {path_of(value, source, project, depth + 1) for value in values}
        return paths.pop() if len(paths) == 1 else UNKNOWN
    module, _, last = name.rpartition(".")
    other = project.module(module)
    if other is None or other is source:
        return UNKNOWN
    return path_of(ast.Name(id=last), other, project, depth + 1)


def _assigned(node: ast.Name | ast.Attribute, source: Source) -> list[ast.expr]:
    """Every value that this file assigns to the name, or to the attribute of the same object (`self.path`)."""
    wanted = dotted(node)
    scope = source.function(node) if node in source.parents else None
    found = [
        (each, each.value)
        for each in source.nodes
        if isinstance(each, (ast.Assign, ast.AnnAssign)) and each.value is not None
        for target in (each.targets if isinstance(each, ast.Assign) else [each.target])
        if wanted and dotted(target) == wanted
    ]
    if isinstance(node, ast.Attribute):
        return [value for _, value in found]
    if scope is not None and any(each.arg == wanted for each in [*scope.args.args, *scope.args.kwonlyargs]):
        return []
    inner = [value for each, value in found if scope is not None and source.function(each) is scope]
    return inner or [value for each, value in found if source.function(each) is None]
