"""The tags of a TIFF file's first directory, and its planes as files of their own; an EXIF block is a TIFF file too.

Read without a decoder, and from bytes that may lie: a tag is a number in the entry itself, or the first of several
where its offset says; nothing else is followed, so there is no loop to be caught in. Sources: TIFF 6.0 section 2, the
BigTIFF layout, CIPA DC-008 (EXIF 2.32).
"""

from __future__ import annotations

import itertools
import struct

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
ORIENTATION, SAMPLES, PLANES, TILE_WIDTH, TILE_HEIGHT, EXTRA_SAMPLES = 274, 277, 284, 322, 323, 338
STRIP_OFFSETS, STRIP_ROWS, STRIP_BYTES, PREDICTOR, TILE_OFFSETS, TILE_BYTES = 273, 278, 279, 317, 324, 325
XMP = 700  # a packet of Adobe's
_KEPT = (WIDTH, HEIGHT, COMPRESSION, STRIP_ROWS, PREDICTOR, TILE_WIDTH, TILE_HEIGHT)  # by a plane, from its file
_MOST_ENTRIES = 1000  # real files have a few dozen
_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # the whole numbers: BYTE, SHORT, LONG, LONG8


def tags(block: bytes) -> dict[int, int]:
    """The first value of every tag that holds whole numbers.

    Limit: what is no TIFF, or damaged, gives the tags up to the damage, or none.
    """
    return {tag: values[0] for tag, values in _all(block, wanted=()).items()}


def planes(block: bytes) -> list[bytes]:
    """Each plane of a file of 16 bits whose channels lie in separate planes, as a grey file of its own.

    Limit: none of a file whose pieces are not as many for each plane, or together longer than the file.
    """
    found = _all(block, wanted=(BITS, STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES))
    samples = found.get(SAMPLES, [1])[0]
    offsets = found.get(TILE_OFFSETS) or found.get(STRIP_OFFSETS, [])
    sizes = found.get(TILE_BYTES) or found.get(STRIP_BYTES, [])
    if {*found.get(BITS, [])} != {16} or not offsets or len(offsets) != len(sizes):
        return []
    if len(offsets) % samples or sum(sizes) > len(block):
        return []
    pieces = [block[at : at + size] for at, size in zip(offsets, sizes, strict=True)]
    each = len(pieces) // samples
    kept = {tag: found[tag][0] for tag in _KEPT if tag in found}
    return [_grey(block[:2], kept, pieces[at : at + each]) for at in range(0, len(pieces), each)]


def _grey(order: bytes, kept: dict[int, int], pieces: list[bytes]) -> bytes:
    """A file of one grey channel of 16 bits, in the byte order of its pieces."""
    mark = "<" if order == b"II" else ">"
    names = (TILE_OFFSETS, TILE_BYTES) if TILE_WIDTH in kept else (STRIP_OFFSETS, STRIP_BYTES)
    begin = 8 + 2 + 12 * (len(kept) + 5) + 4
    data = begin + 8 * len(pieces)
    sizes = [len(piece) for piece in pieces]
    starts = list(itertools.accumulate(sizes[:-1], initial=data))
    single = {tag: (1, value) for tag, value in (kept | {BITS: 16, PHOTOMETRIC: 1, SAMPLES: 1}).items()}
    one = len(pieces) == 1  # one value stands in its entry
    lists = {
        names[0]: (len(pieces), starts[0] if one else begin),
        names[1]: (len(pieces), sizes[0] if one else begin + 4 * len(pieces)),
    }
    entries = sorted((single | lists).items())
    directory = b"".join(struct.pack(mark + "HHII", tag, 4, count, value) for tag, (count, value) in entries)
    numbers = struct.pack(f"{mark}{2 * len(pieces)}I", *starts, *sizes)
    head = order + struct.pack(mark + "HIH", 42, 8, len(entries))
    return b"".join([head, directory, bytes(4), numbers, *pieces])


def _all(block: bytes, wanted: tuple[int, ...]) -> dict[int, list[int]]:
    """All values of the wanted tags, the first one of every other."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2], "")
    found: dict[int, list[int]] = {}
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
                at = entry + step - (8 if big else 4)
                found.setdefault(tag, _values(block, order + _TYPES[kind], number, at, big, tag in wanted))
    except (struct.error, OverflowError):
        pass
    return found


def _values(block: bytes, form: str, number: int, at: int, big: bool, every: bool) -> list[int]:
    """The first value of an entry, or every one; they stand in the entry itself where all of them fit."""
    size = struct.calcsize(form)
    if number * size > (8 if big else 4):
        (at,) = struct.unpack_from(form[0] + ("Q" if big else "I"), block, at)
    count = min(number, max(1, (len(block) - at) // size)) if every else 1
    return list(struct.unpack_from(f"{form[0]}{count}{form[1]}", block, at))


def orientation(block: bytes) -> int:
    """How the picture is to be turned, 1 to 8; 1 where nothing valid is said."""
    value = tags(block.removeprefix(b"Exif\0\0")).get(ORIENTATION, 1)  # some writers of PNG leave JPEG's prefix there
    return value if 1 <= value <= 8 else 1
