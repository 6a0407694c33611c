"""The pictures that a CSV names, as a column of paths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from protocol.findings import Finding
from protocol.picture_paths import PICTURE_SUFFIXES, locate
from recipe.pictures.paths import PathColumn

__all__ = ["PICTURE_SUFFIXES", "find_images"]


def find_images(csv: Path, names: Sequence[str], images: Path) -> tuple[PathColumn, list[Finding]]:
    """The absolute path of every name, and what was noticed; `protocol.picture_paths.locate` has the rule."""
    paths, notes = locate(csv, names, images)
    return PathColumn(paths), notes
