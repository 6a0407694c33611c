"""Code that needs the GPU it was written on. The platform evaluates with one; other machines perhaps do not."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flyai_local.checks.findings import Finding, Hint, Severity
from flyai_local.checks.project import Project, Source
from flyai_local.states import Code
from protocol.language import tr

__all__ = ["check"]

ASKING = ("is_available", "device", "cuda", "gpu", "device_count")


def check(project: Project) -> Iterator[Finding]:
    """Findings on torch.load without map_location, on CUDA without asking, and on models left in training mode."""
    for source in project.serving:
        for call in source.calls:
            if source.full_name(call.func) == "torch.load" and not _mapped(call) and not source.as_program(call):
                yield _needs_gpu(
                    source,
                    call,
                    tr("torch.load without map_location: a model saved on a GPU loads on no other machine"),
                )
    for source in project.reached:
        for call in source.calls:
            text = _cuda(source, call)
            if text and not _asked(source, call):
                yield _needs_gpu(source, call, tr("{given}, whether there is a GPU or not", given=text))
    yield from _training_mode(project)


def _needs_gpu(source: Source, call: ast.Call, text: str) -> Finding:
    return Finding(Code.NEEDS_GPU, Severity.WARNING, source.name, call.lineno, text)


def _mapped(call: ast.Call) -> bool:
    return len(call.args) > 1 or any(keyword.arg in ("map_location", None) for keyword in call.keywords)


def _cuda(source: Source, call: ast.Call) -> str:
    """How a call asks for CUDA outright; empty when it does not."""
    attribute = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if attribute == "cuda" and source.full_name(call.func) != "torch.cuda":
        return ".cuda()"
    constants = [
        value.value for value in [*call.args, *(k.value for k in call.keywords)] if isinstance(value, ast.Constant)
    ]
    named = [value for value in constants if isinstance(value, str) and value.split(":")[0] == "cuda"]
    if named and (attribute == "to" or source.full_name(call.func) in ("torch.device", "torch.load")):
        return f"{ast.unparse(call)[:60]}"
    return ""


def _asked(source: Source, call: ast.Call) -> bool:
    """True when a condition or a try around the call asks for the device first."""
    for node in source.above(call):
        if isinstance(node, ast.Try):
            return True
        if isinstance(node, (ast.If, ast.IfExp)) and any(word in ast.unparse(node.test).lower() for word in ASKING):
            return True
    function = source.function(call)
    returns = [node for node in ast.walk(function) if isinstance(node, ast.If)] if function else []
    return any("is_available" in ast.unparse(node.test) and isinstance(node.body[-1], ast.Return) for node in returns)


def _training_mode(project: Project) -> Iterator[Finding]:
    """A torch model that the evaluation loads and never switches to eval()."""
    calls = [(source, call) for source in project.serving for call in source.calls]
    loaded = [(source, call) for source, call in calls if source.full_name(call.func) == "torch.load"]
    switched = any(isinstance(call.func, ast.Attribute) and call.func.attr in ("eval", "train") for _, call in calls)
    if loaded and not switched:
        source, call = loaded[0]
        yield Finding(
            Hint.NO_EVAL, Severity.WARNING, source.name, call.lineno, tr("no .eval() in what the evaluation imports")
        )
