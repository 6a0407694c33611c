"""Where the pictures lie that a CSV names: relative to which folder, with or without suffix, with either slash.

A name finds its file in whatever way Unicode or the program that unpacked it spelt it: composed (NFC) or decomposed
(NFD, as macOS writes), or in the bytes of GBK.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from protocol.errors import UserError
from protocol.findings import Finding
from protocol.language import tr

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2"}
    | {".pbm", ".pgm", ".ppm", ".pnm"}
)
_ADDRESS = re.compile(r"\s*(https?|ftp|s3|gs|hdfs)://", re.IGNORECASE)
_WAYS = 4  # of `_rules`, without a suffix added
_PROBED = 200  # rows on which the rule is tried


_LITTER = {"__macosx", "__pycache__", "@eadir", "$recycle.bin", "system volume information", "lost+found", "thumbs.db"}


def is_litter(name: str) -> bool:
    """Whether a file or folder is what systems and programs leave behind, such as `._x.jpg`, `.ipynb_checkpoints`,
    `__MACOSX` and `Thumbs.db`: all that is hidden, and some names.
    """
    return name.startswith(".") or name.lower() in _LITTER


def is_picture_name(name: str) -> bool:
    """Whether a file of that name is taken for a picture."""
    return not is_litter(name) and os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122


def pictures_below(folder: Path, others: Counter[str] | None = None) -> list[Path]:
    """The picture files in a folder and below, sorted, without litter; linked folders are followed, each once.

    A folder that is called like a picture is a folder. `others` counts the files that are neither, by suffix.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else [name for name in folders if not is_litter(name)]
        if real not in seen:
            found += [Path(place, name) for name in files if is_picture_name(name)]
            if others is not None:
                rest = (name for name in files if not is_picture_name(name) and not is_litter(name))
                others.update(os.path.splitext(name)[1].lower() for name in rest)  # noqa: PTH122
        seen.add(real)
    return sorted(found)


def by_suffix(others: Counter[str]) -> str:
    """`3 .heic, 1 without a suffix`: the five most frequent of the files that `pictures_below` has counted."""
    bare = tr("without a suffix")
    return ", ".join(f"{count} {suffix or bare}" for suffix, count in others.most_common(5))


def locate(csv: Path, names: Sequence[str], images: Path) -> tuple[list[str], list[Finding]]:
    """The absolute path of every name, and what was noticed about them.

    One rule holds for the whole file, the first of these that finds the most pictures: the name below `images`; below
    the folder above it (a CSV that repeats the folder's name); without its first folder below `images`; its last part
    below `images`; each also with .jpg, .png or .jpeg added. Where that leaves some unfound, case is passed over, and a
    name without suffix finds the one picture that is called so. Backslashes count as slashes, unless a file of that
    very name exists. A path that does not exist is returned all the same.

    Raises:
        UserError: a name is an address on the network.
    """
    _refuse_addresses(csv, names)
    backslashes = os.sep == "/" and any("\\" in name for name in names)
    clean = [name.strip() for name in names]
    if backslashes:
        clean = [
            name.replace("\\", "/") if "\\" in name and not os.path.lexists(images / name) else name for name in clean
        ]
    entries, listing = lru_cache(maxsize=64)(_entries), lru_cache(maxsize=64)(_listing)
    probe = clean[:: max(1, len(clean) // _PROBED)]
    rules = _rules(images)

    def count(rule: str, spelt: Callable[[str], str]) -> int:
        return sum(os.path.isfile(spelt(rules[rule](name))) for name in probe)  # noqa: PTH113  (Path.is_file raises for a name too long)

    def exactly(path: str) -> str:
        return _spelt(path, entries)

    def nearly(path: str) -> str:
        return _nearly(path, listing)

    best, spelt = max(rules, key=lambda rule: count(rule, exactly)), exactly
    if (found := count(best, exactly)) < len(probe):
        near = max(list(rules)[:_WAYS], key=lambda rule: count(rule, nearly))
        if count(near, nearly) > found:
            best, spelt = near, nearly
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
    if spelt is nearly:
        what = tr("pictures are found under names in another case, or with a suffix that the table leaves out")
        notes.append(Finding(csv, 0, "other-spelling", what, tr("write the names as the files have them")))
    return [spelt(_absolute(rules[best](name))) for name in clean], notes


def _refuse_addresses(csv: Path, names: Sequence[str]) -> None:
    address = next((name for name in names if "://" in name and _ADDRESS.match(name)), None)
    if address is not None:
        said = tr("{csv}: {name!r} is an address, and pictures are read from files; download them into a folder and "
                  "write their names.", csv=csv, name=address)  # fmt: skip
        raise UserError(said)


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


def _nearly(path: str, listing: Callable[[str], dict[str, str]]) -> str:
    """The one file that a path means if case, and a suffix that it has not, are passed over; else the path."""
    if os.path.lexists(path):
        return path
    folder, name = os.path.split(path)
    if not name or folder == path:
        return path
    folder = _nearly(folder, listing)
    return os.path.join(folder, listing(folder).get(_key(name).casefold()) or name)  # noqa: PTH118  (strings, as above)


def _listing(folder: str) -> dict[str, str]:
    """The names in a folder by their composed form without case, pictures also without suffix; "" for several."""
    found: dict[str, str] = {}
    try:
        for name in sorted(os.listdir(folder)):  # noqa: PTH208  (strings)
            key = _key(name).casefold()
            for each in {key, os.path.splitext(key)[0]} if is_picture_name(name) else {key}:  # noqa: PTH122
                found[each] = "" if each in found else name
    except (OSError, ValueError):
        return {}
    return found


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
