"""The catalogue of sentences: what the code says, taken out of it by Babel, and what protocol/locale has of it.

python -m tests.catalogue     brings the catalogue up to date (`make translations`)
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from recipe.commands.names import sentence
from recipe.components.families import FAMILIES, family
from recipe.config import Config

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("recipe", "protocol", "flyai_local")
PO = ROOT / "protocol" / "locale" / "zh" / "LC_MESSAGES" / "flyai.po"
MO = PO.with_suffix(".mo")
METHODS = [("**.py", "python"), ("**.html", "jinja2"), ("**/model_card.md", "jinja2")]
KEYWORDS = {"tr": None, "later": None, "translated": None, "counted": (1, 2), "in_chart": None, "_": None}
OPTIONS = {"**.html": {"trimmed": "true"}, "**/model_card.md": {"trimmed": "true"}}


def messages() -> Iterator[str | tuple[str, str]]:
    """Every sentence of the code, with its plural where it has one."""
    for folder in FOLDERS:
        found = extract_from_dir(ROOT / folder, METHODS, OPTIONS, KEYWORDS)
        yield from (message[2] for message in found)
    for message in extract_from_dir(ROOT / "flyai_site", METHODS[:1], {}, {"tr": None}):  # its pages have Django's own
        yield message[2]
    for file in sorted((ROOT / "flyai_local" / "commands").glob("[a-z]*.py")):  # what --help of a command begins with
        yield from filter(None, [ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))])
    yield from filter(None, [field.description for field in Config.model_fields.values()])  # the help of a setting
    for registry in map(family, FAMILIES):  # what `recipe names` says of a component
        yield from sorted({sentence(registry[name]) for name in registry})
    for file in sorted(ROOT.glob("*.py")):
        yield from (message[1] for message in extract_from_file("python", file, KEYWORDS))


def said() -> Catalog:
    """The sentences of the code, none translated."""
    catalogue = Catalog(fuzzy=False)
    for message in messages():
        catalogue.add(message)
    return catalogue


def kept() -> Catalog:
    """The Chinese catalogue as it lies in the project."""
    with open(PO, "rb") as file:
        return read_po(file, locale="zh")


def compiled(catalogue: Catalog) -> bytes:
    """What gettext reads at run time."""
    stream = io.BytesIO()
    write_mo(stream, catalogue)
    return stream.getvalue()


def update() -> list[str]:
    """Writes the catalogue anew and returns the sentences that it has no Chinese for; what nothing says is dropped."""
    catalogue, there = Catalog(locale="zh", fuzzy=False, domain="flyai"), kept()
    for message in messages():
        known = there.get(message[0] if isinstance(message, tuple) else message)
        catalogue.add(message, known.string if known and not known.fuzzy else None)
    catalogue.revision_date = catalogue.creation_date = there.creation_date
    with open(PO, "wb") as file:
        write_po(file, catalogue, width=120, no_location=True, sort_output=True, omit_header=False)
    MO.write_bytes(compiled(kept()))
    return [str(message.id) for message in catalogue if message.id and not _whole(message.string)]


def _whole(string: str | tuple[str, ...]) -> bool:
    return all(string) if isinstance(string, tuple) else bool(string)


if __name__ == "__main__":
    for missing in update():
        sys.stderr.write(f"not translated: {missing}\n")
