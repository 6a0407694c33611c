"""What training saves against what the evaluation loads: the name, and whether a pickle can find its class."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from pathlib import PurePosixPath

from flyai_local.checks.findings import Finding, Severity
from flyai_local.checks.project import Project, Source, dotted
from flyai_local.checks.streams import Access, loads, saves
from flyai_local.checks.values import UNKNOWN, known_name, plain
from flyai_local.states import Code
from protocol.language import tr

__all__ = ["check"]

PICKLING = {"torch.save": 0, "pickle.dump": 0, "joblib.dump": 0, "dill.dump": 0}
PLATFORM_DATA = ("data/input/", "/", "../")
DEEPEST = 5
SAME_OBJECT = {"to", "cuda", "cpu", "eval", "train", "half", "float", "fit"}


def check(project: Project) -> Iterator[Finding]:
    """Findings on checkpoints: nothing saved, another name, a pickled class of main.py."""
    yield from _names(project)
    main = project.sources.get("main.py")
    if main is not None:
        yield from _pickled(main)


def _names(project: Project) -> Iterator[Finding]:
    if project.unread:  # what it saves is not known
        return
    written = list(saves(project.training, project))
    for access in loads(project.serving, project):
        if not _expected_of_training(access, project) or any(_same(saved.path, access.path) for saved in written):
            continue
        saved_elsewhere = known_name(access.path) in {known_name(saved.path) for saved in written}
        if saved_elsewhere or not _written(access, project):
            yield _not_saved(access, written)


def _written(access: Access, project: Project) -> bool:
    """True when the training source holds the file's name anywhere: something unknown may save under it."""
    inside, name = set(ast.walk(access.call)), known_name(access.path)
    texts = (
        node
        for source in project.training
        for node in source.nodes
        if isinstance(node, ast.Constant) and node not in inside
    )
    return any(isinstance(node.value, str) and name in node.value for node in texts)


def _not_saved(access: Access, written: list[Access]) -> Finding:
    loaded = plain(access.path)
    known = sorted({plain(saved.path) for saved in written if known_name(saved.path)})
    near = difflib.get_close_matches(loaded, known, n=1, cutoff=0.3) or known[:1]
    text = tr("{loaded!r} is read here, and neither main.py nor what it imports ever saves a file", loaded=loaded)
    if written:
        text = tr("{loaded!r} is read here and training never saves it", loaded=loaded) + (
            tr("; it saves {near!r}", near=near[0]) if near else ""
        )
    return Finding(Code.NO_CHECKPOINT, Severity.ERROR, access.source.name, access.call.lineno, text)


def _expected_of_training(access: Access, project: Project) -> bool:
    """True for a file that neither archive nor platform brings, and that is read whether it is there or not."""
    path = plain(access.path)
    if any(isinstance(node, ast.Try) or _asks_for_file(node) for node in access.source.above(access.call)):
        return False
    if not known_name(access.path) or path.startswith(PLATFORM_DATA) or not PurePosixPath(path).suffix:
        return False
    name = known_name(access.path)
    return not any(
        held == path or (UNKNOWN in path and PurePosixPath(held).name == name) for held in project.selection.files
    )


def _asks_for_file(node: ast.AST) -> bool:
    return isinstance(node, (ast.If, ast.IfExp)) and any(
        word in ast.unparse(node.test) for word in ("exists", "is_file", "isfile")
    )


def _same(saved: str, loaded: str) -> bool:
    """Whether a saved path may be the loaded one; an unknown part of either can be anything."""
    if UNKNOWN not in saved + loaded:
        return plain(saved) == plain(loaded)
    name = known_name(saved)
    return not name or name == known_name(loaded)


def _pickled(main: Source) -> Iterator[Finding]:
    classes = {node.name for node in main.nodes if isinstance(node, ast.ClassDef)}
    for call in main.calls:
        position = PICKLING.get(main.full_name(call.func))
        if position is None or position >= len(call.args):
            continue
        made = _class_of(call.args[position], main, classes)
        if made:
            text = tr(
                "{unparse} pickles an object of class {made}, which is defined in main.py",
                unparse=ast.unparse(call)[:80],
                made=made,
            )
            yield Finding(Code.CLASS_NOT_FOUND_IN_PICKLE, Severity.ERROR, "main.py", call.lineno, text)


def _class_of(value: ast.expr, main: Source, classes: set[str], depth: int = 0) -> str:
    """The class of main.py whose object an expression holds, itself or in a dict; empty when there is none."""
    if isinstance(value, ast.Dict):
        return next((found for each in value.values if (found := _class_of(each, main, classes, depth + 1))), "")
    if isinstance(value, ast.Call) or depth > DEEPEST:
        return _made_by(value, classes)
    wanted = dotted(value)
    assigned = [
        node.value
        for node in main.nodes
        if isinstance(node, ast.Assign) and any(dotted(t) == wanted for t in node.targets)
    ]
    return next((found for each in assigned if wanted and (found := _class_of(each, main, classes, depth + 1))), "")


def _made_by(value: ast.expr, classes: set[str]) -> str:
    """The class that an expression makes an object of: `Net()`, `Net().to(device)`, `DataParallel(Net())`."""
    while isinstance(value, ast.Call):
        if isinstance(value.func, ast.Name) and value.func.id in classes:
            return value.func.id
        if dotted(value.func).endswith("DataParallel") and value.args:
            value = value.args[0]
        elif isinstance(value.func, ast.Attribute) and value.func.attr in SAME_OBJECT:
            value = value.func.value
        else:
            return ""
    return ""
