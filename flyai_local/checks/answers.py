"""What predict returns, as far as its return statements tell: a dict, the key `label`, the type of the label."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flyai_local.checks.findings import Finding, Severity
from flyai_local.checks.project import Project, Source, dotted
from flyai_local.states import Code
from protocol.language import tr

__all__ = ["check_answers"]

# What gives a number for certain, and what gives a text.
NUMBERS = {"int", "float", "len", "numpy.argmax", "torch.argmax", "round", "numpy.int64", "numpy.int32"}
NUMBER_METHODS = {"argmax", "argmin", "item"}
TEXTS = {"str", "repr"}
TEXT_METHODS = {"format", "join", "strip", "lower", "upper", "zfill"}
ARRAYS = {"torch.softmax", "torch.nn.functional.softmax", "torch.sigmoid", "scipy.special.softmax"}
ARRAY_METHODS = {"softmax", "sigmoid"}
BARE_CALLS = NUMBERS | TEXTS | {"list", "tuple", "set", "bool"}


def check_answers(source: Source, predict: ast.FunctionDef, project: Project) -> Iterator[Finding]:
    """Findings on every return statement of predict."""
    found = [node for node in ast.walk(predict) if isinstance(node, ast.Return) and source.function(node) is predict]
    ends = [node for node in ast.walk(predict) if isinstance(node, (ast.Raise, ast.Yield))]
    if not any(node.value is not None for node in found) and not ends:
        yield Finding(Code.BARE_RETURN, Severity.ERROR, source.name, predict.lineno, tr("predict returns nothing"))
        return
    for node in sorted(found, key=lambda each: each.lineno):
        yield from _judge(source, predict, node, project)


def _judge(source: Source, predict: ast.FunctionDef, node: ast.Return, project: Project) -> Iterator[Finding]:
    value = _followed(node.value, predict)
    shown = ast.unparse(node)[:120]
    if value is None or _bare(value, source):
        yield Finding(Code.BARE_RETURN, Severity.ERROR, source.name, node.lineno, shown)
        return
    keys, label = _label(value)
    if keys and "label" not in keys:
        yield Finding(Code.NO_LABEL_KEY, Severity.ERROR, source.name, node.lineno, shown)
    label = _followed(label, predict)
    if label is None:
        return
    kind = _kind(label, source)
    if kind == "array":
        yield Finding(Code.LABEL_NOT_COMPARABLE, Severity.ERROR, source.name, node.lineno, shown)
    wanted = project.target.label
    if wanted is not None and kind in ("text", "number") and (kind == "text") != isinstance(wanted, str):
        text = tr(
            "{shown}: a {kind} where the label column holds {type}, such as {example!r}",
            shown=shown,
            kind=kind,
            type=type(wanted).__name__,
            example=wanted,
        )
        yield Finding(Code.LABEL_TYPE, Severity.ERROR, source.name, node.lineno, text)


def _followed(value: ast.expr | None, predict: ast.FunctionDef) -> ast.expr | None:
    """The value itself, or the one that the function assigns to its name when it does so once."""
    for _ in range(3):
        if not isinstance(value, ast.Name):
            return value
        named = value.id
        found = [
            each
            for each in ast.walk(predict)
            if isinstance(each, ast.Assign) and any(dotted(t) == named for t in each.targets)
        ]
        if len(found) != 1 or found[0].value is value:
            return value
        value = found[0].value
    return value


def _bare(value: ast.expr, source: Source) -> bool:
    """True for what is certainly no dict."""
    if isinstance(value, ast.Constant | ast.Tuple | ast.List | ast.Set | ast.JoinedStr | ast.ListComp | ast.Compare):
        return True
    if isinstance(value, ast.Call):
        return source.full_name(value.func) in BARE_CALLS or _attribute(value) in NUMBER_METHODS | TEXT_METHODS | {
            "tolist"
        }
    return (
        isinstance(value, ast.Subscript) and isinstance(value.value, ast.Call) and _attribute(value.value) == "tolist"
    )


def _label(value: ast.expr) -> tuple[set[str], ast.expr | None]:
    """The keys of a dict display or dict() call and its label; no keys when they cannot all be read."""
    if isinstance(value, ast.Dict):
        if not all(isinstance(key, ast.Constant) for key in value.keys):
            return set(), None
        pairs = {
            str(key.value): item
            for key, item in zip(value.keys, value.values, strict=True)
            if isinstance(key, ast.Constant)
        }
        return set(pairs), pairs.get("label")
    if (
        isinstance(value, ast.Call)
        and dotted(value.func) == "dict"
        and not value.args
        and all(each.arg for each in value.keywords)
    ):
        named = {str(each.arg): each.value for each in value.keywords}
        return set(named), named.get("label")
    return set(), None


def _kind(label: ast.expr, source: Source) -> str:
    """`number`, `text` or `array` where the expression tells; empty otherwise."""
    if isinstance(label, ast.JoinedStr):
        return "text"
    if isinstance(label, ast.Constant):
        return "text" if isinstance(label.value, str) else "number"
    if isinstance(label, ast.List | ast.Tuple):
        return "array"
    if not isinstance(label, ast.Call):
        return ""
    name, attribute = source.full_name(label.func), _attribute(label)
    if name in ARRAYS or attribute in ARRAY_METHODS:
        return "array"
    if name in TEXTS or attribute in TEXT_METHODS:
        return "text"
    # argmax over an axis may give an array; item() of an array of texts gives a text.
    return "number" if name in NUMBERS or (attribute in {"argmax", "argmin"}) else ""


def _attribute(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
