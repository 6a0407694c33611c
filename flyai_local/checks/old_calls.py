"""Calls that old submissions make and newer versions of their libraries refuse."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from flyai_local.checks.findings import Finding, Severity
from flyai_local.checks.project import Project, Source
from flyai_local.states import Code
from protocol.language import later, tr

__all__ = ["check"]

GONE = (
    (re.compile(r"albumentations\.(\w+\.)*IAA\w+"), later("albumentations 1.0 has no IAA transforms")),
    (re.compile(r"numpy\.(float|int|bool|object|str|complex)"), later("numpy 1.24 has no alias of a Python type")),
    (re.compile(r"PIL\.Image\.(ANTIALIAS|LINEAR|CUBIC)"), later("Pillow 10 has no such filter")),
    (re.compile(r"sklearn\.externals\..*"), later("scikit-learn 0.23 has no externals")),
    (re.compile(r"scipy\.misc\.(imread|imresize|imsave)"), later("scipy 1.3 has no picture functions")),
    (re.compile(r"torchvision\.transforms\.(Scale|RandomSizedCrop)"), later("torchvision 0.14 has no such transform")),
)
FOLDS = {"sklearn.model_selection.KFold", "sklearn.model_selection.StratifiedKFold"}


def check(project: Project) -> Iterator[Finding]:
    """Findings on names that are gone and on arguments that are refused."""
    for source in project.reached:
        for node in source.nodes:
            text = _gone(source, node) if isinstance(node, (ast.Attribute, ast.Name)) else _refused(source, node)
            if text:
                yield Finding(Code.OLD_LIBRARY_CALL, Severity.WARNING, source.name, getattr(node, "lineno", 0), text)


def _gone(source: Source, node: ast.AST) -> str:
    if isinstance(source.parents.get(node), ast.Attribute):
        return ""
    name = source.full_name(node)
    return next((f"{name}: {tr(why)}" for pattern, why in GONE if pattern.fullmatch(name)), "")


def _refused(source: Source, node: ast.AST) -> str:
    if not isinstance(node, ast.Call) or source.full_name(node.func) not in FOLDS:
        return ""
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    shuffle, seed = given.get("shuffle"), given.get("random_state")
    without = len(node.args) < 2 and (shuffle is None or (isinstance(shuffle, ast.Constant) and shuffle.value is False))
    seeded = seed is not None and not (isinstance(seed, ast.Constant) and seed.value is None)
    return tr("random_state without shuffle=True is refused by scikit-learn") if seeded and without else ""
