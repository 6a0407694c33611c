"""The class that the platform will take from prediction.py, as its finder looks: first FlyAI subclass by alphabet."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Iterator

from flyai_local.checks.answers import check_answers
from flyai_local.checks.findings import Finding, Hint, Severity
from flyai_local.checks.project import Project, Source, dotted
from flyai_local.states import Code
from protocol.language import tr

__all__ = ["check"]

BASES = {"flyai.framework.FlyAI", "flyai_sdk.FlyAI"}
DEEPEST = 10
Found = tuple[Source, ast.ClassDef]


def check(project: Project) -> Iterator[Finding]:
    """Findings on the class of a 2.0 or 2022 submission: which one, its methods, its arguments, its answers."""
    source = project.sources.get("prediction.py")
    if project.generation == "1.x" or source is None:
        return
    candidates = _candidates(source, project)
    if not candidates:
        if not _unclear(source, project):
            yield _none(source)
        return
    chosen = min(candidates)
    if chosen != "Prediction" and "Prediction" in candidates:
        line = next((each.node.lineno for each in source.imports if chosen in each.bound or "*" in each.bound), 0)
        line = line or candidates[chosen][1].lineno
        names = ", ".join(sorted(candidates))
        yield Finding(
            Code.WRONG_CLASS,
            Severity.ERROR,
            "prediction.py",
            line,
            tr("{chosen} will be taken, of {names}", chosen=chosen, names=names),
        )
        chosen = "Prediction"
    yield from _methods(*candidates[chosen], project)


def _none(source: Source) -> Finding:
    classes = [node for node in source.nodes if isinstance(node, ast.ClassDef)]
    named = [node for node in classes if node.name == "Prediction"] or classes
    text = (
        tr("class {name} does not inherit FlyAI", name=named[0].name)
        if named
        else tr("there is no class that inherits FlyAI")
    )
    return Finding(Code.NO_CLASS, Severity.ERROR, "prediction.py", named[0].lineno if named else 0, text)


def _candidates(source: Source, project: Project) -> dict[str, Found]:
    """Names under which the module holds subclasses of FlyAI."""
    names = {name: name for name in _defined(source)}
    found = {name: _class(name, source, project) for name in names}
    for name, (module, original) in source.bound.items():
        other = project.module(module)
        if other is None or all(source.as_program(each.node) for each in source.imports if name in each.bound):
            continue
        if original == "*":
            found |= {each: _class(each, other, project) for each in _defined(other)}
        elif original:
            found[name] = _class(original, other, project)
    usable = {
        name: each for name, each in found.items() if each is not None and not name.startswith("__") and name != "FlyAI"
    }
    return {name: each for name, each in usable.items() if _inherits(*each, project)}


def _defined(source: Source) -> list[str]:
    return [
        node.name
        for node in source.nodes
        if isinstance(node, ast.ClassDef) and source.at_import(node) and source.owner(node) is None
    ]


def _class(name: str, source: Source, project: Project, depth: int = 0) -> Found | None:
    """The class that a name of a module stands for, through imports of the project's own modules."""
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and node.name == name and source.owner(node) is None:
            return source, node
    module, original = source.bound.get(name, ("", ""))
    other = project.module(module) if module else None
    return _class(original, other, project, depth + 1) if other is not None and original and depth < DEEPEST else None


def _inherits(source: Source, node: ast.ClassDef, project: Project, depth: int = 0) -> bool:
    for base in node.bases:
        if _origin(source.full_name(base), source, project) in BASES:
            return True
        above = _base(base, source, project)
        if above is not None and depth < DEEPEST and _inherits(*above, project, depth + 1):
            return True
    return False


def _origin(name: str, source: Source, project: Project, depth: int = 0) -> str:
    """Where a dotted name comes from when the project's own modules pass it on, by name or by `import *`."""
    module, _, last = name.rpartition(".")
    other = project.module(module) if module else source
    if other is None or depth > DEEPEST:
        return name
    if last in other.bound:
        return _origin(".".join(part for part in other.bound[last] if part), other, project, depth + 1)
    stars = [each.names[0] for each in other.imports if "*" in each.bound]
    found = (_origin(f"{star}.{last}", other, project, depth + 1) for star in stars)
    return next((each for each in found if each in BASES), name)


def _unclear(source: Source, project: Project) -> bool:
    """True when a class of prediction.py has a base that cannot be found out: a call, or a name that nothing binds."""
    for node in source.nodes:
        for base in node.bases if isinstance(node, ast.ClassDef) else ():
            name = dotted(base)
            known = (
                name.split(".")[0] in source.bound
                or hasattr(builtins, name)
                or _base(base, source, project) is not None
            )
            if not name or not known:
                return True
    return any("*" in each.bound and project.module(each.names[0]) is None for each in source.imports)


def _base(base: ast.expr, source: Source, project: Project) -> Found | None:
    """The class definition of a base, by its name here or as an attribute of an own module."""
    if isinstance(base, ast.Name):
        return _class(base.id, source, project)
    module, _, name = source.full_name(base).rpartition(".")
    other = project.module(module) if module else None
    return _class(name, other, project) if other is not None else None


def _methods(source: Source, node: ast.ClassDef, project: Project) -> Iterator[Finding]:
    methods = _all_methods(source, node, project)
    if "predict" not in methods:
        yield Finding(
            Hint.MISSING_METHOD,
            Severity.ERROR,
            source.name,
            node.lineno,
            tr("class {name} has no method predict", name=node.name),
        )
    if not {"load_model", "__init__"} & methods.keys():
        yield Finding(
            Hint.MISSING_METHOD,
            Severity.WARNING,
            source.name,
            node.lineno,
            tr("class {name} has no method load_model", name=node.name),
        )
    if "predict" not in methods:
        return
    where, predict = methods["predict"]
    refused = _refused(predict, project.target.columns)
    if refused:
        yield Finding(Code.PREDICT_ARGUMENTS, Severity.ERROR, where.name, predict.lineno, refused)
    yield from check_answers(where, predict, project)


def _all_methods(
    source: Source, node: ast.ClassDef, project: Project, depth: int = 0
) -> dict[str, tuple[Source, ast.FunctionDef]]:
    """Methods of a class and of its bases in the project, its own first."""
    found: dict[str, tuple[Source, ast.FunctionDef]] = {}
    for base in reversed(node.bases):
        above = _base(base, source, project)
        if above is not None and depth < DEEPEST:
            found |= _all_methods(*above, project, depth + 1)
    return found | {each.name: (source, each) for each in node.body if isinstance(each, ast.FunctionDef)}


def _refused(predict: ast.FunctionDef, columns: tuple[str, ...]) -> str:
    """Why predict cannot be called with the columns as keywords; empty when it can."""
    decorators = {dotted(each) for each in predict.decorator_list}
    signature = _signature(predict, bound="staticmethod" not in decorators)
    try:
        signature.bind(**dict.fromkeys(columns))
    except TypeError as error:
        return tr(
            "predict{signature} cannot be called with {columns}: {error}",
            signature=signature,
            columns=", ".join(columns),
            error=error,
        )
    return ""


def _signature(predict: ast.FunctionDef, bound: bool) -> inspect.Signature:
    """The signature, without self, as inspect would give it; defaults are shown as `...`."""
    kinds = inspect.Parameter
    before, named = predict.args.posonlyargs, predict.args.args
    free = len(before) + len(named) - len(predict.args.defaults)
    found = [
        kinds(
            each.arg,
            kinds.POSITIONAL_ONLY if each in before else kinds.POSITIONAL_OR_KEYWORD,
            default=kinds.empty if at < free else ...,
        )
        for at, each in enumerate([*before, *named])
    ][1 if bound else 0 :]
    if predict.args.vararg:
        found.append(kinds(predict.args.vararg.arg, kinds.VAR_POSITIONAL))
    for each, default in zip(predict.args.kwonlyargs, predict.args.kw_defaults, strict=True):
        found.append(kinds(each.arg, kinds.KEYWORD_ONLY, default=kinds.empty if default is None else ...))
    if predict.args.kwarg:
        found.append(kinds(predict.args.kwarg.arg, kinds.VAR_KEYWORD))
    return inspect.Signature(found)
