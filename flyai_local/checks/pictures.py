"""How pictures are read: training transforms at prediction, endless retries, files that end too early."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from flyai_local.checks.project import Project, Source, dotted
from flyai_local.findings import Finding, Hint, Severity
from flyai_local.states import Code

__all__ = ["check"]

# torchvision's and albumentations' names of what draws at random.
RANDOM = re.compile(
    r"Random\w+|ColorJitter|TrivialAugmentWide|AutoAugment|AugMix|HorizontalFlip|VerticalFlip|ShiftScaleRotate|Rotate|Cutout|CoarseDropout|"
    r"GaussNoise|GaussianBlur|HueSaturationValue|RGBShift|CLAHE|ElasticTransform|GridDistortion|OneOf|SomeOf|ImageCompression|MotionBlur"
)
NOT_RANDOM = {"RandomState", "Random", "RandomSampler", "RandomForestClassifier", "RandomGenerator"}
TRAINING_NAME = re.compile(r"(?i)\w*(train\w*_?(transform|aug)|(transform|aug)\w*_?train)\w*")
LIBRARIES = ("torchvision", "albumentations", "imgaug", "transforms", "paddle")
OPENING = {"PIL.Image.open", "Image.open"}


def check(project: Project) -> Iterator[Finding]:
    """Findings on decoding and on transforms."""
    for source in project.serving:
        yield from _transforms(source)
    for source in project.reached:
        yield from _retries(source)
    yield from _truncated(project)


def _transforms(source: Source) -> Iterator[Finding]:
    """Random transforms that prediction.py builds itself, or training transforms that it takes from another file."""
    if source.name != "prediction.py":
        return
    for call in source.calls:
        name, last = source.full_name(call.func), dotted(call.func).rpartition(".")[2]
        drawn = RANDOM.fullmatch(last) and last not in NOT_RANDOM and name.startswith(LIBRARIES) and not _certain(call)
        asked = last.startswith("get_transform") and any(isinstance(each, ast.Constant) and each.value == "train" for each in call.args)
        if drawn or asked or TRAINING_NAME.fullmatch(last):
            yield Finding(Hint.TRAIN_TRANSFORM, Severity.WARNING, source.name, call.lineno, ast.unparse(call)[:120])


def _certain(call: ast.Call) -> bool:
    """True with p=1 or p=0: a flip that is always made is no chance (test-time augmentation)."""
    return any(k.arg in ("p", "always_apply") and isinstance(k.value, ast.Constant) and k.value.value in (0, 1) for k in call.keywords)


def _retries(source: Source) -> Iterator[Finding]:
    for node in source.nodes:
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and node.test.value:
            handlers = [each for part in node.body if isinstance(part, ast.Try) for each in part.handlers]
            if any(_goes_on(handler, node) for handler in handlers):
                text = "the loop ends only when the file can be read; what is caught changes nothing"
                yield Finding(Hint.ENDLESS_RETRY, Severity.ERROR, source.name, node.lineno, text)
        elif isinstance(node, ast.ExceptHandler) and (call := _same_again(source, node)):
            text = f"{ast.unparse(call)} asks for the same row again"
            yield Finding(Hint.ENDLESS_RETRY, Severity.ERROR, source.name, call.lineno, text)


def _goes_on(handler: ast.ExceptHandler, loop: ast.While) -> bool:
    """True when the handler neither leaves the loop nor changes a name that the loop reads."""
    inside = [each for part in handler.body for each in ast.walk(part)]
    if any(isinstance(each, (ast.Break, ast.Return, ast.Raise)) for each in inside):
        return False
    changed = {each.id for each in inside if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    read = {each.id for each in ast.walk(loop) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}
    leaves = [each for part in loop.body for each in ast.walk(part) if isinstance(each, (ast.Break, ast.Return))]
    reads_file = any(isinstance(each, ast.Call) and OPENS.search(dotted(each.func)) for each in ast.walk(loop))
    return bool(leaves) and reads_file and not changed & read


OPENS = re.compile(r"(?i)(^|\.|_)(open|imread|read\w*|load\w*|decode\w*)$")


def _same_again(source: Source, handler: ast.ExceptHandler) -> ast.Call | None:
    """A call of the function around the handler with its own unchanged arguments."""
    function = source.function(handler)
    if function is None:
        return None
    names = [each.arg for each in function.args.args if each.arg not in ("self", "cls")]
    changed = {each.id for part in handler.body for each in ast.walk(part) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    if changed & set(names):
        return None
    for part in handler.body:
        for each in ast.walk(part):
            if isinstance(each, ast.Call | ast.Subscript) and _target(each) == function.name and _given(each) == names:
                return each if isinstance(each, ast.Call) else ast.Call(each.value, [each.slice], [], lineno=each.lineno)
    return None


def _target(node: ast.Call | ast.Subscript) -> str:
    if isinstance(node, ast.Subscript):
        return "__getitem__" if dotted(node.value) == "self" else ""
    return dotted(node.func).rpartition(".")[2]


def _given(node: ast.Call | ast.Subscript) -> list[str]:
    return [dotted(each) for each in (node.args if isinstance(node, ast.Call) else [node.slice])]


def _truncated(project: Project) -> Iterator[Finding]:
    """The first place that opens a picture with Pillow and is ready for neither a truncated nor a broken one."""
    for source in project.training:
        text = any(isinstance(node, ast.Attribute) and node.attr == "LOAD_TRUNCATED_IMAGES" for node in source.nodes)
        if text:
            return
    for source in project.training:
        for call in source.calls:
            if source.full_name(call.func) in OPENING and not any(isinstance(each, ast.Try) for each in source.above(call)):
                said = "a truncated picture raises here; set ImageFile.LOAD_TRUNCATED_IMAGES or catch OSError"
                yield Finding(Code.BROKEN_IMAGE, Severity.WARNING, source.name, call.lineno, said)
                return
