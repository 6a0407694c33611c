"""What a competition says of itself beside its pictures: `competition.json` in the folder that holds train.csv.

The platform's stand-in writes it where it places the data, and training reads its columns and its metric there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from protocol.language import tr

FILE = "competition.json"
MAX_BYTES = 100_000


class Card(NamedTuple):
    """The columns of train.csv, and the score that the competition is judged by."""

    image: str
    label: str
    metric: str


def write(folder: Path, columns: Sequence[str], metric: str) -> None:
    """Beside train.csv, whole or not at all."""
    content = {"columns": {"image": columns[0], "label": columns[1]}, "metric": metric}
    unfinished = folder / f".{FILE}.part"
    unfinished.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(folder / FILE)


def read(folder: Path) -> Card | None:
    """The card of a folder, or of the folder that a table lies in; None where there is none.

    Raises:
        ValueError: it is not what `write` writes.
    """
    path = (folder if folder.is_dir() else folder.parent) / FILE
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(tr("more than {max_bytes} bytes", max_bytes=MAX_BYTES))
        content = json.loads(path.read_text(encoding="utf-8"))
        card = Card(content["columns"]["image"], content["columns"]["label"], content["metric"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = f"{type(error).__name__}: {error}"
        raise ValueError(
            tr("{path} cannot be read ({why}); remove it, or download anew.", path=path, why=why)
        ) from None
    if not all(isinstance(value, str) and value for value in card):
        raise ValueError(tr("{path} holds something other than names; remove it, or download anew.", path=path))
    return card
