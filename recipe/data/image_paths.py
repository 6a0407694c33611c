"""Where the pictures lie that a CSV names: relative to which folder, with or without suffix, with either slash."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from recipe.data.findings import Finding
from recipe.pictures.paths import PathColumn

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2"})
_PROBED = 200  # rows on which the rule is tried


def find_images(csv: Path, names: Sequence[str], images: Path) -> tuple[PathColumn, list[Finding]]:
    """The absolute path of every name, and what was noticed about them.

    One rule holds for the whole file, the first of these that finds the most pictures: the name below `images`; below
    the folder above it (a CSV that repeats the folder's name); its last part below `images`; each also with .jpg, .png
    or .jpeg added. Backslashes count as slashes, unless a file of that very name exists. A path that does not exist is
    returned all the same.
    """
    backslashes = os.sep == "/" and any("\\" in name for name in names)
    clean = [name.strip() for name in names]
    if backslashes:
        clean = [name.replace("\\", "/") if "\\" in name and not (images / name).exists() else name for name in clean]
    probe = clean[:: max(1, len(clean) // _PROBED)]
    rules = _rules(images)
    best = max(rules, key=lambda rule: sum(os.path.isfile(rules[rule](name)) for name in probe))  # noqa: PTH113  (as data_check)
    notes = []
    if backslashes:
        notes.append(
            Finding(
                csv,
                0,
                "backslashes",
                "the paths hold backslashes, read as slashes",
                "write slashes; they work everywhere",
            )
        )
    if best != next(iter(rules)):
        notes.append(
            Finding(
                csv,
                0,
                "image-folder",
                f"pictures are not found as written but {best}",
                "correct the paths or the image folder",
            )
        )
    return PathColumn(map(_absolute, map(rules[best], clean))), notes


def _rules(images: Path) -> dict[str, Callable[[str], str]]:
    """Ways to find a picture, the plain one first, by a clause that describes them."""
    rules: dict[str, Callable[[str], str]] = {}
    inside, above = (os.path.abspath(folder) for folder in (images, images.parent))  # noqa: PTH100  (as below)
    join = os.path.join  # strings: a Path for each of a million rows takes longer than all else
    for suffix in ("", ".jpg", ".png", ".jpeg"):
        ending = f" with {suffix} added" if suffix else ""
        rules[f"below {images}{ending}"] = lambda name, suffix=suffix: join(inside, name + suffix)  # type: ignore[misc]
        rules[f"below {images.parent}{ending}"] = lambda name, suffix=suffix: join(above, name + suffix)  # type: ignore[misc]
        rules[f"by their last part below {images}{ending}"] = lambda name, suffix=suffix: join(
            inside, Path(name).name + suffix
        )  # type: ignore[misc]
    return rules


_SPELT = re.compile(r"//|/\.|/$") if os.sep == "/" else re.compile("")  # what a plain path has not, on Windows anything


def _absolute(path: str) -> str:
    """A path from the root without "." and "..", links kept: two spellings of one place become one path."""
    return os.path.abspath(path) if _SPELT.search(path) else path  # noqa: PTH100  (Path.absolute keeps "..", Path.resolve follows links)
