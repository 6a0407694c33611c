"""How the two processes start: the arguments of main.py, and what importing the prediction module runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flyai_local.checks.findings import Finding, Hint, Severity
from flyai_local.checks.project import Project, Source, dotted
from flyai_local.states import Code
from protocol.language import tr

__all__ = ["check"]

SHORT = {"-e": "EPOCHS", "-b": "BATCH"}
OTHER_PARSERS = ("click", "fire", "absl", "docopt", "typer", "optparse", "getopt", "tap", "simple_parsing", "hydra")
EXITS = {"sys.exit", "exit", "quit", "os._exit"}
TRAINING_NAMES = {
    "train",
    "fit",
    "main",
    "run",
    "train_model",
    "train_and_eval",
    "start_train",
    "start_training",
    "training",
}


def check(project: Project) -> Iterator[Finding]:
    """Findings on main.py's command line and on imports that parse it, train or exit."""
    yield from _arguments(project)
    for source in project.serving:
        for call in source.calls:
            if source.at_import(call):
                yield from _at_import(source, call)


def _at_import(source: Source, call: ast.Call) -> Iterator[Finding]:
    name = source.full_name(call.func)
    attribute = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if attribute == "parse_args" and not call.args and not call.keywords:
        depends = any(isinstance(node, (ast.If, ast.Try)) for node in source.above(call))
        yield Finding(
            Code.ARGPARSE_AT_IMPORT,
            Severity.WARNING if depends else Severity.ERROR,
            source.name,
            call.lineno,
            tr("parse_args() runs when this file is imported"),
        )
    elif name in EXITS and not any(isinstance(node, (ast.If, ast.Try)) for node in source.above(call)):
        yield Finding(
            Code.EVALUATION_EXIT,
            Severity.ERROR,
            source.name,
            call.lineno,
            tr("{name}() runs when this file is imported", name=name),
        )
    elif isinstance(source.parents.get(call), ast.Expr) and _trains(source, call, attribute):
        shown = dotted(call.func) or attribute
        yield Finding(
            Hint.TRAINING_AT_IMPORT,
            Severity.WARNING,
            source.name,
            call.lineno,
            tr("{shown}() runs when this file is imported", shown=shown),
        )


def _trains(source: Source, call: ast.Call, attribute: str) -> bool:
    """True for `train()` and `main.train()` as statements of a file that is no network's `model.train()` switch."""
    if isinstance(call.func, ast.Name):
        return call.func.id in TRAINING_NAMES and call.func.id not in source.bound
    return attribute in {"train", "fit"} and any(
        isinstance(node, ast.ClassDef) and _has(node, attribute) for node in source.nodes
    )


def _has(node: ast.ClassDef, method: str) -> bool:
    return any(isinstance(each, ast.FunctionDef) and each.name == method for each in node.body)


def _arguments(project: Project) -> Iterator[Finding]:
    main = project.sources.get("main.py")
    if main is None or _other_way(project):
        return
    calls = [
        (source, call) for source in project.training for call in source.calls if isinstance(call.func, ast.Attribute)
    ]
    parsing = [(source, call) for source, call in calls if _attribute(call) in ("parse_args", "parse_known_args")]
    if not parsing:
        yield Finding(
            Hint.ARGUMENTS_IGNORED,
            Severity.WARNING,
            "main.py",
            0,
            tr("nothing that main.py runs reads the command line"),
        )
        return
    strict = any(_attribute(call) == "parse_args" for _, call in parsing)
    for flag in SHORT:
        declared = [
            (source, call) for source, call in calls if _attribute(call) == "add_argument" and _mentions(call, flag)
        ]
        if declared:
            yield from _unused(project, *declared[0], flag)
        elif not _written(project, flag):
            yield _undeclared(*parsing[0], flag, strict)


def _undeclared(source: Source, call: ast.Call, flag: str, strict: bool) -> Finding:
    text = tr("{flag} is not declared before the arguments are parsed", flag=flag)
    if strict:
        return Finding(Code.MAIN_ARGUMENTS, Severity.ERROR, source.name, call.lineno, text)
    return Finding(Hint.ARGUMENTS_IGNORED, Severity.WARNING, source.name, call.lineno, text)


def _other_way(project: Project) -> bool:
    """True when the command line is read by another library, or by hand."""
    for source in project.training:
        if any(each.names[0].split(".")[0] in OTHER_PARSERS for each in source.imports):
            return True
        if any(isinstance(node, ast.Attribute) and source.full_name(node) == "sys.argv" for node in source.nodes):
            return True
    return False


def _unused(project: Project, source: Source, call: ast.Call, flag: str) -> Iterator[Finding]:
    """A declared option whose value nothing reads, or which is overwritten with a constant."""
    name = _destination(call)
    if not name:
        return
    overwritten = _overwritten(project, name)
    if overwritten:
        where, line = overwritten
        yield Finding(
            Hint.ARGUMENTS_IGNORED,
            Severity.WARNING,
            where.name,
            line,
            tr("the value of {flag} is overwritten with a constant", flag=flag),
        )
    elif not _read(project, name):
        yield Finding(
            Hint.ARGUMENTS_IGNORED,
            Severity.WARNING,
            source.name,
            call.lineno,
            tr("nothing reads {name}, the value of {flag}", name=name, flag=flag),
        )


def _overwritten(project: Project, name: str) -> tuple[Source, int] | None:
    for source in project.training:
        for node in source.nodes:
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
                continue
            if any(
                isinstance(target, ast.Attribute) and target.attr == name and "arg" in dotted(target)
                for target in node.targets
            ):
                return source, node.lineno
    return None


def _read(project: Project, name: str) -> bool:
    for source in project.training:
        for node in source.nodes:
            if isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Load):
                return True
            if isinstance(node, ast.Constant) and node.value == name:
                return True
            if isinstance(node, ast.Call) and dotted(node.func) in ("vars", "getattr"):
                return True
    return False


def _destination(call: ast.Call) -> str:
    """The attribute that argparse fills: `dest`, or the first long option; empty when it is computed."""
    for keyword in call.keywords:
        if keyword.arg == "dest":
            return str(keyword.value.value) if isinstance(keyword.value, ast.Constant) else ""
    texts = [
        argument.value
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    if len(texts) != len(call.args):
        return ""
    longer = [text for text in texts if text.startswith("--")]
    return (longer or texts)[0].lstrip("-").replace("-", "_")


def _mentions(call: ast.Call, flag: str) -> bool:
    return any(isinstance(argument, ast.Constant) and argument.value == flag for argument in call.args)


def _written(project: Project, flag: str) -> bool:
    """True when the flag stands anywhere in the source: options made in a loop."""
    return any(
        isinstance(node, ast.Constant) and node.value == flag for source in project.training for node in source.nodes
    )


def _attribute(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
