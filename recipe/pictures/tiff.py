"""The tags of a TIFF file's first directory; an EXIF block is a TIFF file too.

Read without a decoder, and from bytes that may lie: a tag is a number in the entry itself, or the first of several
where its offset says; nothing else is followed, so there is no loop to be caught in. Sources: TIFF 6.0 section 2, the
BigTIFF layout, CIPA DC-008 (EXIF 2.32).
"""

from __future__ import annotations

import struct

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
ORIENTATION, SAMPLES, PLANES, TILE_WIDTH, TILE_HEIGHT, EXTRA_SAMPLES = 274, 277, 284, 322, 323, 338
XMP = 700  # a packet of Adobe's
_MOST_ENTRIES = 1000  # real files have a few dozen
_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # the whole numbers: BYTE, SHORT, LONG, LONG8


def tags(block: bytes) -> dict[int, int]:
    """The first value of every tag that holds whole numbers.

    Limit: what is no TIFF, or damaged, gives the tags up to the damage, or none.
    """
    order = {b"II": "<", b"MM": ">"}.get(block[:2], "")
    found: dict[int, int] = {}
    if not order:
        return found
    try:
        big = struct.unpack_from(order + "H", block, 2)[0] == 43
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), block, 8 if big else 4)
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), block, start)
        first, step = start + (8 if big else 2), 20 if big else 12
        for entry in range(first, first + step * min(count, _MOST_ENTRIES), step):
            tag, kind, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), block, entry)
            if kind in _TYPES and number:
                found.setdefault(tag, _first(block, order, _TYPES[kind], number, entry + step - (8 if big else 4), big))
    except (struct.error, OverflowError):
        pass
    return found


def _first(block: bytes, order: str, letter: str, number: int, at: int, big: bool) -> int:
    """The first value of an entry, which stands in the entry itself where all of them fit."""
    if number * struct.calcsize(order + letter) > (8 if big else 4):
        (at,) = struct.unpack_from(order + ("Q" if big else "I"), block, at)
    return struct.unpack_from(order + letter, block, at)[0]


def orientation(block: bytes) -> int:
    """How the picture is to be turned, 1 to 8; 1 where nothing valid is said."""
    value = tags(block.removeprefix(b"Exif\0\0")).get(ORIENTATION, 1)  # some writers of PNG leave JPEG's prefix there
    return value if 1 <= value <= 8 else 1
