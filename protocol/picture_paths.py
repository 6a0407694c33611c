"""Where the pictures lie that a CSV names: relative to which folder, with or without suffix, with either slash.

A name finds its file in whatever way Unicode or the program that unpacked it spelt it: composed (NFC) or decomposed
(NFD, as macOS writes), or in the bytes of GBK.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from protocol.findings import Finding
from protocol.language import tr

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2"})
_PROBED = 200  # rows on which the rule is tried


_LITTER = {"__macosx", "__pycache__", "@eadir", "$recycle.bin", "system volume information", "lost+found", "thumbs.db"}


def is_litter(name: str) -> bool:
    """Whether a file or folder is what systems and programs leave behind, such as `._x.jpg`, `.ipynb_checkpoints`,
    `__MACOSX` and `Thumbs.db`: all that is hidden, and some names.
    """
    return name.startswith(".") or name.lower() in _LITTER


def pictures_below(folder: Path) -> list[Path]:
    """The picture files in a folder and below, sorted, without litter; linked folders are followed, each once.

    A folder that is called like a picture is a folder.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else [name for name in folders if not is_litter(name)]
        if real not in seen:
            found += [
                Path(place, name)
                for name in files
                if not is_litter(name) and os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122
            ]
        seen.add(real)
    return sorted(found)


def locate(csv: Path, names: Sequence[str], images: Path) -> tuple[list[str], list[Finding]]:
    """The absolute path of every name, and what was noticed about them.

    One rule holds for the whole file, the first of these that finds the most pictures: the name below `images`; below
    the folder above it (a CSV that repeats the folder's name); without its first folder below `images`; its last part
    below `images`; each also with .jpg, .png or .jpeg added. Backslashes count as slashes, unless a file of that very
    name exists. A path that does not exist is returned all the same.
    """
    backslashes = os.sep == "/" and any("\\" in name for name in names)
    clean = [name.strip() for name in names]
    if backslashes:
        clean = [
            name.replace("\\", "/") if "\\" in name and not os.path.lexists(images / name) else name for name in clean
        ]
    entries = lru_cache(maxsize=64)(_entries)
    probe = clean[:: max(1, len(clean) // _PROBED)]
    rules = _rules(images)
    best = max(rules, key=lambda rule: sum(os.path.isfile(_spelt(rules[rule](name), entries)) for name in probe))  # noqa: PTH113  (Path.is_file raises for a name too long)
    notes = []
    if backslashes:
        what, remedy = tr("the paths hold backslashes, read as slashes"), tr("write slashes; they work everywhere")
        notes.append(Finding(csv, 0, "backslashes", what, remedy))
    if best != next(iter(rules)):
        what, remedy = (
            tr("pictures are not found as written but {best}", best=best),
            tr("correct the paths or the image folder"),
        )
        notes.append(Finding(csv, 0, "image-folder", what, remedy))
    return [_spelt(_absolute(rules[best](name)), entries) for name in clean], notes


def _rules(images: Path) -> dict[str, Callable[[str], str]]:
    """Ways to find a picture, the plain one first, by a clause that describes them."""
    inside, above = (os.path.abspath(folder) for folder in (images, images.parent))  # noqa: PTH100  (as below)
    join = os.path.join  # strings: a Path for each of a million rows takes longer than all else
    ways: dict[str, Callable[[str], str]] = {
        tr("below {images}", images=images): lambda name: join(inside, name),
        tr("below {parent}", parent=images.parent): lambda name: join(above, name),
        tr("without their first folder below {images}", images=images): lambda name: join(inside, _without_first(name)),
        tr("by their last part below {images}", images=images): lambda name: join(inside, Path(name).name),
    }
    return {
        clause + (tr(" with {suffix} added", suffix=suffix) if suffix else ""): lambda name, way=way, suffix=suffix: (
            way(name) + suffix
        )  # type: ignore[misc]
        for suffix in ("", ".jpg", ".png", ".jpeg")
        for clause, way in ways.items()
    }


def _without_first(name: str) -> str:
    return os.path.normpath(name).lstrip("/").partition("/")[2] or name


_SPELT = re.compile(r"//|/\.|/$") if os.sep == "/" else re.compile("")  # what a plain path has not, on Windows anything


def _absolute(path: str) -> str:
    """A path from the root without "." and "..", links kept: two spellings of one place become one path."""
    return os.path.abspath(path) if _SPELT.search(path) else path  # noqa: PTH100  (Path.absolute keeps "..", Path.resolve follows links)


def _spelt(path: str, entries: Callable[[str], dict[str, str]]) -> str:
    """The path as the file system spells it, part by part; as it is where nothing of that name exists."""
    if path.isascii() or "\0" in path or os.path.lexists(path):
        return path
    folder, name = os.path.split(path)
    if not name or folder == path:
        return path
    folder = _spelt(folder, entries)
    return os.path.join(folder, entries(folder).get(_key(name), name))  # noqa: PTH118  (strings, as above)


def _entries(folder: str) -> dict[str, str]:
    """The names in a folder by their composed form."""
    try:
        return {_key(name): name for name in sorted(os.listdir(folder)) if not name.isascii()}  # noqa: PTH208  (strings)
    except (OSError, ValueError):
        return {}


def _key(name: str) -> str:
    """A name in composed form; one in bytes that are no UTF-8, as GBK where it is that."""
    return unicodedata.normalize("NFC", readable(name))


def readable(name: str) -> str:
    """A file name as text that can be written as UTF-8: bytes that are none are read as GBK, else shown as \\xNN."""
    try:
        name.encode("utf-8")
        return name
    except UnicodeEncodeError:
        encoded = name.encode("utf-8", "surrogateescape") if _escaped(name) else name.encode("utf-8", "replace")
    try:
        return encoded.decode("gb18030")
    except UnicodeDecodeError:
        return encoded.decode("utf-8", "backslashreplace")


def _escaped(name: str) -> bool:
    """Whether every surrogate of a name stands for a byte, as Python reads file names."""
    return all("\udc80" <= character <= "\udcff" for character in name if "\ud800" <= character <= "\udfff")
