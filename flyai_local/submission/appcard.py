"""app.json made from app.yaml, so that both generations of the platform can read what a submission is about.

app.yaml itself travels as it is: 1.x reads it, and a project that checks its keys would refuse added ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flyai_local.errors import UserError
from protocol.language import tr
from protocol.plain_files import Unreadable, parse_yaml

__all__ = ["app_json", "parse", "read_text"]


def read_text(file: Path) -> str:
    """The text of a card that lies in a file.

    Raises:
        UserError: it is neither UTF-8 nor GB 18030.
    """
    return decoded(file.read_bytes(), file.name)


def decoded(content: bytes, name: str) -> str:
    """The text of a card: UTF-8 with or without a byte order mark, otherwise GB18030, as Chinese editors wrote it.

    Raises:
        UserError: it is neither.
    """
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UserError(tr("{name} is neither UTF-8 nor GB 18030 text: save it in UTF-8", name=name))


def parse(text: str) -> dict[str, Any]:
    """The first document of an app.yaml as a mapping; files of the 1.x time begin with `---` and end with `...`.

    Raises:
        UserError: it is no YAML, or no mapping.
    """
    try:
        card = parse_yaml(text)
    except Unreadable as error:
        raise UserError(
            tr("app.yaml cannot be read: {error}. Correct the line it names, or remove the file", error=error)
        ) from error
    if not isinstance(card, dict):
        raise UserError(tr("app.yaml must hold names with values, such as 'competition:'; it holds something else"))
    return card


def app_json(card: dict[str, Any]) -> str:
    """Text of an app.json in the form of 2.0, with the two keys of the 2022 form beside it; the same text each time."""
    identity, inputs, outputs = _identity(card), _columns(card, "input"), _columns(card, "output")
    name = str(card.get("name") or identity)
    content = {
        "name": name,
        "author": str(card.get("author") or ""),
        "description": str(card.get("description") or ""),
        "topic": "image classification",
        "model": {"input": {"columns": inputs}, "output": {"columns": outputs}},
        "data": {"source": [{"id": identity, "name": name, "source": "flyai"}]},
        "data_id": identity,
        "project": {"id": "", "train": {"file": "main.py"}, "prediction": {"file": "prediction.py"}},
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _identity(card: dict[str, Any]) -> str:
    """Id of the competition: `competition.id` here, `data.id` in 1.x."""
    for section in ("competition", "data"):
        value = card.get(section)
        if isinstance(value, dict) and value.get("id"):
            return str(value["id"])
    return ""


def _columns(card: dict[str, Any], part: str) -> list[dict[str, str]]:
    """Columns of the input or output in the form that both cards use."""
    model = card.get("model")
    described = model.get(part) if isinstance(model, dict) else None
    columns = described.get("columns") if isinstance(described, dict) else None
    if isinstance(columns, list):
        return [column for column in columns if isinstance(column, dict)]
    competition = card.get("competition")
    named = competition.get("columns") if isinstance(competition, dict) else None
    named = named if isinstance(named, dict) else {}
    if part == "input":
        return [{"name": str(named.get("image") or "image_path"), "type": "image"}]
    return [{"name": str(named.get("label") or "label"), "type": "str"}]
