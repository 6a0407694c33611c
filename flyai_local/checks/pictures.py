"""How pictures are read: training transforms at prediction, endless retries, files that end too early."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from flyai_local.checks.findings import Finding, Hint, Severity
from flyai_local.checks.project import Project, Source, dotted
from flyai_local.states import Code
from protocol.language import tr

__all__ = ["check"]

# torchvision's and albumentations' names of what draws at random.
RANDOM = re.compile(
    r"Random\w+|ColorJitter|TrivialAugmentWide|AutoAugment|AugMix|HorizontalFlip|VerticalFlip|ShiftScaleRotate|Rotate|Cutout|CoarseDropout|"
    r"GaussNoise|GaussianBlur|HueSaturationValue|RGBShift|CLAHE|ElasticTransform|GridDistortion|OneOf|SomeOf|ImageCompression|MotionBlur"
)
DRAWING = re.compile(
    r"(numpy\.)?random\.(uniform|randint|random|rand|randn|choice|normal|permutation|random_integers|gauss)"
)
NOT_RANDOM = {"RandomState", "Random", "RandomSampler", "RandomForestClassifier", "RandomGenerator"}
TRAINING_NAME = re.compile(r"(?i)\w*(train\w*_?(transform|aug)|(transform|aug)\w*_?train)\w*")
LIBRARIES = ("torchvision", "albumentations", "imgaug", "transforms", "paddle")
OPENING = {"PIL.Image.open", "Image.open"}


def check(project: Project) -> Iterator[Finding]:
    """Findings on decoding and on transforms."""
    yield from _transforms(project)
    for source in project.reached:
        yield from _retries(source)
    yield from _truncated(project)


def _transforms(project: Project) -> Iterator[Finding]:
    """What draws at random, or is called after training, in prediction.py and in the functions that it takes."""
    source = project.sources.get("prediction.py")
    if source is None or source not in project.serving:
        return
    places = [(source, call) for call in source.calls]
    for module, name in source.bound.values():
        other = project.module(module)
        if other is not None and name:
            places += [
                (other, call) for call in other.calls if (function := other.function(call)) and function.name == name
            ]
    for where, call in places:
        if _draws(where, call):
            yield Finding(Hint.TRAIN_TRANSFORM, Severity.WARNING, where.name, call.lineno, ast.unparse(call)[:120])


def _draws(source: Source, call: ast.Call) -> bool:
    name, last = source.full_name(call.func), dotted(call.func).rpartition(".")[2]
    if RANDOM.fullmatch(last) and last not in NOT_RANDOM and name.startswith(LIBRARIES):
        return not _certain(call)
    asked = last.startswith("get_transform") and any(
        isinstance(each, ast.Constant) and each.value == "train" for each in call.args
    )
    return asked or bool(TRAINING_NAME.fullmatch(last)) or bool(DRAWING.fullmatch(name) and source.function(call))


def _certain(call: ast.Call) -> bool:
    """True with p=1 or p=0: a flip that is always made is no chance (test-time augmentation)."""
    return any(
        k.arg in ("p", "always_apply") and isinstance(k.value, ast.Constant) and k.value.value in (0, 1)
        for k in call.keywords
    )


def _retries(source: Source) -> Iterator[Finding]:
    for node in source.nodes:
        if isinstance(node, ast.While) and (_asks_again(node) or _catches_again(node)):
            text = tr("the loop ends only when the file can be read, and nothing in it takes another one")
            yield Finding(Hint.ENDLESS_RETRY, Severity.WARNING, source.name, node.lineno, text)
        elif isinstance(node, (ast.Call, ast.Subscript)) and _same_again(source, node):
            text = tr("{unparse} asks for the same picture again", unparse=ast.unparse(node))
            yield Finding(Hint.ENDLESS_RETRY, Severity.WARNING, source.name, node.lineno, text)


def _asks_again(loop: ast.While) -> bool:
    """`while (image := read(path)) is None: pass`: the condition reads a file that the loop never changes."""
    asked = [
        each
        for each in ast.walk(loop.test)
        if isinstance(each, ast.Call) and OPENS.search(dotted(each.func)) and each.args
    ]
    return bool(asked) and _unchanged(loop.body, {name for each in asked for name in _names(each)})


def _catches_again(loop: ast.While) -> bool:
    """`while True:` around a try whose handler neither leaves the loop nor changes a name that the loop reads."""
    if not isinstance(loop.test, ast.Constant) or not loop.test.value:
        return False
    handlers = [handler for part in loop.body if isinstance(part, ast.Try) for handler in part.handlers]
    leaves = any(isinstance(each, (ast.Break, ast.Return)) for part in loop.body for each in ast.walk(part))
    reads = any(isinstance(each, ast.Call) and OPENS.search(dotted(each.func)) for each in ast.walk(loop))
    names = {each.id for each in ast.walk(loop) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}
    return leaves and reads and any(_unchanged(handler.body, names) for handler in handlers)


def _unchanged(body: list[ast.stmt], names: set[str]) -> bool:
    """True when the statements neither leave nor assign to any of the names."""
    inside = [each for part in body for each in ast.walk(part)]
    if any(isinstance(each, (ast.Break, ast.Return, ast.Raise)) for each in inside):
        return False
    return not names & {each.id for each in inside if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


OPENS = re.compile(r"(?i)(^|\.|_)(open|imread|read\w*|load\w*|decode\w*)$")


def _same_again(source: Source, node: ast.Call | ast.Subscript) -> bool:
    """True when a function calls itself with its own arguments, unchanged, and its object unchanged too."""
    function = source.function(node)
    if function is None or _target(node) != function.name or isinstance(getattr(node, "ctx", None), ast.Store):
        return False
    names = [each.arg for each in function.args.args if each.arg not in ("self", "cls")]
    stored = [each for each in ast.walk(function) if isinstance(getattr(each, "ctx", None), ast.Store)]
    changed = {dotted(each).split(".")[0] for each in stored}
    return bool(names) and _given(node) == names and not changed & {*names, "self"}


def _target(node: ast.Call | ast.Subscript) -> str:
    """The own function or method that is called; empty for those of other objects."""
    if isinstance(node, ast.Subscript):
        return "__getitem__" if dotted(node.value) == "self" else ""
    owner, _, name = dotted(node.func).rpartition(".")
    return name if owner in ("", "self", "cls") else ""


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
            if source.full_name(call.func) in OPENING and not any(
                isinstance(each, ast.Try) for each in source.above(call)
            ):
                said = tr("a truncated picture raises here; set ImageFile.LOAD_TRUNCATED_IMAGES or catch OSError")
                yield Finding(Code.BROKEN_IMAGE, Severity.WARNING, source.name, call.lineno, said)
                return
