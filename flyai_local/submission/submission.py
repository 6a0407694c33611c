"""What kind of submission a folder holds: its generation, the data ids it asks for, the columns it names."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flyai_local.contest.competitions import NAME
from flyai_local.errors import UserError
from flyai_local.states import Code
from flyai_local.submission import appcard, columns
from flyai_local.submission.reading import regular, small
from flyai_local.submission.unpack import ArchiveError
from protocol.language import tr
from protocol.plain_files import MOST_BYTES

__all__ = ["Submission", "ids", "read"]

FLYAI_MODULES = ("flyai.framework", "flyai_sdk")
NOT_CODE = {"data", "tests", "flyai_local", "node_modules"}
MOST_SOURCES = 500
LARGEST_SOURCE = 2**20
LONGEST_METRIC = 40
LARGEST_CODE = 2**23  # all sources together
LONGEST_NUMBER = 10**18  # more is no id, and turning it into text takes time


@dataclass(frozen=True)
class Submission:
    """One unpacked submission.

    `generation` is "2.0" (also for the 2022 form) or "1.x". `ids` are the data ids that its code and cards name, in the
    order found; `columns` are the image and label column of app.yaml (1.x) or app.json, or None; `metric` is what
    app.yaml says that it trains for; `asks` holds the texts by which its code may ask for a column.
    """

    generation: str
    ids: tuple[str, ...]
    columns: tuple[str, str] | None
    metric: str | None = None
    asks: frozenset[str] = frozenset()

    def table(self, competition: str, own: tuple[str, str]) -> tuple[str, str]:
        """The header that train.csv gets in a run on `competition`, whose own columns are `own`.

        A 2.0 project that asks for this very competition finds its header; in a stand-in's place it finds the one that
        it was written for.
        """
        if self.generation == "1.x":
            return self.columns or own
        return own if competition in self.ids else columns.header(self.columns, own, self.asks)


def read(folder: Path) -> Submission:
    """Look at a folder without running anything of it.

    Raises:
        ArchiveError: main.py is missing, or both prediction.py and the files of a 1.x submission are.
    """
    if not regular(folder / "main.py"):
        nested = [path.parent.name for path in folder.glob("*/main.py")]
        hint = tr("; there is one in the folder {nested!r}", nested=nested[0]) if nested else ""
        raise ArchiveError(Code.NESTED_FOLDER if nested else Code.NO_MAIN, tr("no main.py at the top{hint}", hint=hint))
    card = _mapping(folder / "app.yaml")
    old = isinstance(card.get("model"), dict) and regular(folder / "model.py") and regular(folder / "processor.py")
    new = regular(folder / "prediction.py")
    if not old and not new:
        raise ArchiveError(Code.NO_PREDICTION, _lacking(folder, card))
    generation = "1.x" if old and not (new and _mentions_flyai(folder / "prediction.py")) else "2.0"
    metric = _plain(_within(card, "competition", "metric"))[:LONGEST_METRIC] or None
    named = columns.asked(card if generation == "1.x" else _mapping(folder / "app.json"))
    return Submission(generation, ids(folder), named, metric, columns.keys(_trees(folder, but="prediction.py")))


def _lacking(folder: Path, card: dict[str, Any]) -> str:
    """What is missing of either form; a folder with model.py or processor.py was meant to be 1.x."""
    found = [name for name in ("model.py", "processor.py") if (folder / name).is_file()]
    if not found:
        return tr("neither prediction.py nor model.py with processor.py and app.yaml")
    absent = [name for name in ("model.py", "processor.py", "app.yaml") if not (folder / name).is_file()]
    if absent:
        return tr(
            "{found} of the 1.x form, but no {absent}",
            found=tr(" and ").join(found),
            absent=tr(" and no ").join(absent),
        )
    why = tr("cannot be read") if not card else tr("has no section `model` (processor, input, output)")
    return tr("model.py and processor.py of the 1.x form, but app.yaml {why}", why=why)


def ids(folder: Path) -> tuple[str, ...]:
    """Data ids that a project names in app.yaml, in app.json and in its calls of download_from_ids, in this order."""
    card = _mapping(folder / "app.yaml")
    found = [_within(card, "competition", "id"), _within(card, "data", "id")]
    app = _mapping(folder / "app.json")
    sources = _within(app, "data", "source")
    found += [source.get("id") for source in sources if isinstance(source, dict)] if isinstance(sources, list) else []
    found += [app.get("data_id")]
    trees = _trees(folder)
    constants = {name: value for tree in trees for name, value in _constants(tree)}
    for tree in trees:
        found += _asked_for(tree, constants)
    return tuple(dict.fromkeys(name for name in map(_plain, found) if NAME.fullmatch(name)))


def _plain(value: object) -> str:
    """The text of an id; empty for what can be none."""
    if isinstance(value, int) and abs(value) < LONGEST_NUMBER:
        return str(value)
    return value if isinstance(value, str) else ""


def _mentions_flyai(file: Path) -> bool:
    """True when a file imports the FlyAI base class, from the SDK or by way of its own modules."""
    tree = _tree(file)
    if tree is None:  # a syntax error: the run will name it
        return True
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (
            node.module in FLYAI_MODULES or any(n.name == "FlyAI" for n in node.names)
        ):
            return True
        if isinstance(node, ast.Import) and any(name.name in FLYAI_MODULES for name in node.names):
            return True
    return False


def _sources(folder: Path) -> list[Path]:
    """Python files of the project: at its top and in its packages, not in environments or data."""
    tops = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and path.name not in NOT_CODE]
    nested = [
        file
        for path in tops
        if path.is_dir() and not (path / "pyvenv.cfg").exists()
        for file in sorted(path.rglob("*.py"))
    ]
    return ([path for path in tops if path.suffix == ".py"] + nested)[:MOST_SOURCES]


def _trees(folder: Path, but: str = "") -> list[ast.Module]:
    """The sources that Python can read, as many as fit into LARGEST_CODE; `but` names one at the top to pass over."""
    found, room = [], LARGEST_CODE
    for file in _sources(folder):
        if file == folder / but:
            continue
        room -= file.lstat().st_size
        tree = _tree(file) if room >= 0 else None
        found += [] if tree is None else [tree]
    return found


def _constants(tree: ast.Module) -> list[tuple[str, str]]:
    """Names of a module that are assigned a text."""
    return [
        (target.id, node.value.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]


def _asked_for(tree: ast.Module, constants: dict[str, str]) -> list[str | None]:
    """Ids in calls of download_from_ids, given as texts or by the name of a constant."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    asked = (call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "download_from_ids")
    return [_text(argument, constants) for call in asked for argument in call.args]


def _text(node: ast.expr, constants: dict[str, str]) -> str | None:
    if isinstance(node, ast.Constant):
        return _plain(node.value)
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return constants.get(name)


def _within(card: Any, *names: str) -> Any:
    for name in names:
        card = card.get(name) if isinstance(card, dict) else None
    return card


def _mapping(file: Path) -> dict[str, Any]:
    """Content of a JSON or YAML card; empty when the file is missing or is no mapping."""
    try:
        text = appcard.decoded(small(file, MOST_BYTES), file.name)
        content = json.loads(text) if file.suffix == ".json" else appcard.parse(text)
    except (OSError, UserError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _tree(file: Path) -> ast.Module | None:
    try:
        return ast.parse(small(file, LARGEST_SOURCE))
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
        return None
