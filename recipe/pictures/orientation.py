"""How a picture is to be turned, wherever its file says so: EXIF, a TIFF's own tag, or XMP.

EXIF wins where both speak, as in Pillow; XMP counts where EXIF is silent. Nothing is parsed that was not bounded: of
EXIF at most 64 KB, of a JPEG its first 128 KB, of XMP the few characters after the name of the property. Sources:
CIPA DC-008 (EXIF 2.32), Adobe XMP Specification part 2 (the tiff namespace) and part 3 (where the packet stands).
"""

from __future__ import annotations

import re

from recipe.pictures.tiff import ORIENTATION, XMP, orientation, tags

_PROPERTY = re.compile(rb"""tiff:Orientation(?:\s{0,9}=\s{0,9}["']|>)\s{0,9}([1-8])(?!\d)""")
_START = 1 << 17  # of a JPEG: its segments stand before its pixels


def exif_orientation(encoded: bytes) -> int:
    """The orientation (1 to 8) that a JPEG states; 1 for anything else."""
    if not encoded.startswith(b"\xff\xd8\xff"):
        return 1
    start = encoded.find(b"Exif\0\0", 0, _START)
    return _either(_after(encoded, start), encoded[:_START])


def of_chunks(encoded: bytes, exif: bytes, packet: bytes) -> int:
    """The orientation (1 to 8) by the EXIF and XMP that a decoder found, empty where it found none.

    Limit: a TIFF that states one in its own tag gives 1: OpenCV has turned it.
    """
    if encoded[:2] in (b"II", b"MM"):
        found = tags(encoded)
        return xmp_orientation(encoded) if XMP in found and ORIENTATION not in found else 1
    if not exif and encoded.startswith(b"\x89PNG"):
        start = encoded.find(b"eXIfExif\0\0")  # with the prefix of JPEG's, which libpng drops
        exif = _after(encoded, start + 4 if start >= 0 else -1)
    return _either(exif, packet)


def xmp_orientation(packet: bytes) -> int:
    """The first `tiff:Orientation` of an XMP packet, as attribute or element; 1 where nothing valid is said."""
    start = packet.find(b"tiff:Orientation")
    said = _PROPERTY.match(packet, start) if start >= 0 else None
    return int(said[1]) if said else 1


def _after(encoded: bytes, start: int) -> bytes:
    return encoded[start : start + (1 << 16)].removeprefix(b"Exif\0\0") if start >= 0 else b""


def _either(exif: bytes, packet: bytes) -> int:
    exif = exif.removeprefix(b"Exif\0\0")
    return orientation(exif) if ORIENTATION in tags(exif) else xmp_orientation(packet)
