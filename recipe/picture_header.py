"""What the first bytes of a picture file say: its format, its size, and for JPEG whether the file is whole.

Read before decoding, so that a small file that claims a huge picture is refused before any memory is taken, and a truncated
JPEG is refused instead of coming back half grey. Sources: ITU-T T.81 annex B (JPEG markers), ISO/IEC 15948 (PNG), RFC 9649 (WebP),
the GIF89a specification section 18, the BITMAPINFOHEADER layout (BMP), ISO/IEC 14496-12 (boxes of AVIF and JPEG 2000).
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # a marker, but no stuffed byte (FF00) and no restart (FFD0 to FFD7)
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_MODES = {1: "grey", 3: "", 4: "CMYK"}  # by components
_PNG_MODES = {0: "grey", 2: "", 3: "palette", 4: "grey, alpha", 6: "alpha"}  # by colour type
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA


class Header(NamedTuple):
    """What the header says; sizes are those before any EXIF rotation."""

    format: str  # "JPEG", "PNG", ...; empty: not a picture format known here
    width: int = 0  # pixels; 0 where the header does not say
    height: int = 0
    whole: bool = True  # False only for a JPEG without an end
    mode: str = ""  # "grey", "palette", "CMYK", "16 bits", ...; empty: plain colour, or not said


def header(encoded: bytes) -> Header:
    """The header of an encoded picture.

    Limit: anything unknown, empty bytes too, gives an empty format.
    """
    for name, signature, read_size in _FORMATS:
        if signature.match(encoded):
            try:
                return read_size(name, encoded)
            except (struct.error, IndexError):
                return Header(name, whole=name != "JPEG")
    return Header("")


def _jpeg(name: str, encoded: bytes) -> Header:
    """Walks the segments; between scans it jumps from marker to marker, so embedded thumbnails and appended bytes do not confuse it."""
    position, width, height, in_scan, mode = 2, 0, 0, False, ""
    while (marker := _MARKER.search(encoded, position)) is not None:
        code, position = encoded[marker.end() - 1], marker.end()
        if code == _END_OF_IMAGE:
            return Header(name, width, height, in_scan, mode)
        if code in (0x01, _START_OF_IMAGE):
            continue
        (length,) = struct.unpack_from(">H", encoded, position)
        if code in _START_OF_FRAME:
            height, width, components = struct.unpack_from(">HHB", encoded, position + 3)
            mode = _JPEG_MODES.get(components, f"{components} components")
        if code == _START_OF_SCAN:
            in_scan = True
            if encoded.endswith(b"\xff\xd9"):
                return Header(name, width, height, mode=mode)
        position += length
    return Header(name, width, height, False, mode)


def _png(name: str, encoded: bytes) -> Header:
    width, height, bits, colour = struct.unpack_from(">IIBB", encoded, 16)
    modes = [_PNG_MODES.get(colour, ""), f"{bits} bits" if bits != 8 else ""]
    return Header(name, width, height, mode=", ".join(mode for mode in modes if mode))


def _gif(name: str, encoded: bytes) -> Header:
    return Header(name, *struct.unpack_from("<HH", encoded, 6))


def _bmp(name: str, encoded: bytes) -> Header:
    if struct.unpack_from("<I", encoded, 14)[0] == 12:  # the oldest form counts in 16 bits
        return Header(name, *struct.unpack_from("<HH", encoded, 18))
    width, height = struct.unpack_from("<ii", encoded, 18)
    return Header(name, abs(width), abs(height))  # a negative height means rows from the top


def _webp(name: str, encoded: bytes) -> Header:
    kind = encoded[12:16]
    if kind == b"VP8X":
        return Header(name, 1 + int.from_bytes(encoded[24:27], "little"), 1 + int.from_bytes(encoded[27:30], "little"))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", encoded, 21)
        return Header(name, 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    width, height = struct.unpack_from("<HH", encoded, 26)
    return Header(name, width & 0x3FFF, height & 0x3FFF)


def _unsized(name: str, encoded: bytes) -> Header:
    return Header(name)


_FORMATS = tuple(
    (name, re.compile(signature, re.DOTALL), read_size)
    for name, signature, read_size in (
        ("JPEG", rb"\xff\xd8\xff", _jpeg),
        ("PNG", rb"\x89PNG\r\n\x1a\n", _png),
        ("GIF", rb"GIF8[79]a", _gif),
        ("WebP", rb"RIFF....WEBP", _webp),
        ("BMP", rb"BM.{4}\0\0\0\0", _bmp),
        ("TIFF", rb"II[*+]\0|MM\0[*+]", _unsized),
        ("AVIF", rb"....ftyp(avif|avis|mif1)", _unsized),
        ("JPEG 2000", rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", _unsized),
        ("PNM", rb"P[1-7]\s", _unsized),
    )
)
