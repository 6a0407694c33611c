"""Sections of a Markdown file that a program writes, between marks, among text that a person wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from recipe.atomic import write_bytes


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """The lines of a table; columns are aligned to the right except those numbered in `left`."""
    rule = "".join("|---" if column in left else "|--:" for column in range(len(header))) + "|"
    return ["| " + " | ".join(header) + " |", rule, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)]


def write_section(path: Path, name: str, lines: Sequence[str], title: str) -> None:
    """Puts lines into the file, in place of the earlier section of that name or at its end; other text in the file stays.

    Args:
        path: the file; begun with `title` where it does not exist.
        name: what the marks call the section.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    section = "\n".join([begin, *lines, end])
    text = path.read_text(encoding="utf-8") if path.exists() else f"# {title}\n"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    text = pattern.sub(lambda found: section, text) if pattern.search(text) else text.rstrip("\n") + "\n\n" + section + "\n"
    write_bytes(path, text.encode("utf-8"))
