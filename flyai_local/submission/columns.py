"""What a 2.0 project calls its columns: in the rows that predict gets, and in train.csv.

app.json names the input columns, and the platform's rows had exactly these. The header of train.csv came with the data
and may differ: one entry that scored 99.78 read the column `name` and answered for `image_path`. Where another
competition's data stand in for the project's own, nobody has that header, so the code is asked for it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

__all__ = ["asked", "header", "keys"]

PICTURE_WORDS = ("image", "img", "pic", "photo", "file", "path", "name")
# Headers that public projects read, beside image_path and label.
PICTURES = ("name", "path", "image", "img", "img_path", "image_name", "img_name", "filename", "file_name", "file")
LABELS = ("labels", "class", "category", "target", "y")


def asked(card: dict[str, Any]) -> tuple[str, str] | None:
    """Picture and label column of an app.json, or of the section `model` of an app.yaml; None where it names none.

    Of several input columns the one that reads like a picture's counts, otherwise the first.
    """
    model = card.get("model")
    model = model if isinstance(model, dict) else {}
    inputs, outputs = _names(model.get("input")), _names(model.get("output"))
    if not inputs or not outputs:
        return None
    likely = (name for word in PICTURE_WORDS for name in inputs if word in name.lower())
    return next(likely, inputs[0]), "label" if "label" in outputs else outputs[0]


def keys(trees: Iterable[ast.Module]) -> frozenset[str]:
    """Every text that stands between square brackets, as in `table["name"]` or `rows[0]["name"]`.

    Not what lies deeper in a tree of texts: `card["model"]["name"]` reads a card, not a table.
    """
    nodes = (node for tree in trees for node in ast.walk(tree))
    return frozenset(_key(node) for node in nodes if _key(node) and not _below_a_key(node))


def _key(node: ast.AST) -> str:
    constant = node.slice if isinstance(node, ast.Subscript) else None
    return constant.value if isinstance(constant, ast.Constant) and isinstance(constant.value, str) else ""


def _below_a_key(node: ast.AST) -> bool:
    while isinstance(node, ast.Subscript):
        node = node.value
        if _key(node):
            return True
    return False


def header(named: tuple[str, str] | None, own: tuple[str, str], asks: frozenset[str]) -> tuple[str, str]:
    """The header of train.csv that code expects where another competition stands in.

    Args:
        named: the columns of its app.json.
        own: those of the competition that stands in.
        asks: `keys` of the code; what reads by position asks for nothing, and any header serves it.
    """
    first = named or own
    picture = _expected((first[0], own[0], "image_path", *PICTURES), asks)
    return picture, _expected((first[1], own[1], "label", *LABELS), asks)


def _expected(names: tuple[str, ...], asks: frozenset[str]) -> str:
    return next((name for name in names if name in asks), names[0])


def _names(part: Any) -> list[str]:
    columns = part.get("columns") if isinstance(part, dict) else None
    columns = columns if isinstance(columns, list) else []
    return [str(column["name"]) for column in columns if isinstance(column, dict) and column.get("name")]
