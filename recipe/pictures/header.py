"""What the first bytes of a picture file say: its format, its size, and for JPEG whether the file is whole.

Read before decoding, so that a small file that claims a huge picture is refused before any memory is taken, and a
truncated JPEG is refused instead of coming back half grey. Sources: ITU-T T.81 annex B (JPEG markers), ISO/IEC 15948
(PNG), RFC 9649 (WebP), the GIF89a specification section 18, the BITMAPINFOHEADER layout (BMP), TIFF 6.0, ISO/IEC
23008-12 (the ispe box of AVIF), ISO/IEC 15444-1 annex A.5.1 (the SIZ marker of JPEG 2000), the Netpbm manual pages.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from typing import NamedTuple

from protocol.language import tr
from recipe.pictures import tiff as tiff_tags

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # a marker, but no stuffed byte (FF00) and no restart (FFD0 to FFD7)
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_MODES = {1: "grey", 3: "", 4: "CMYK"}  # by components
_PNG_MODES = {0: "grey", 2: "", 3: "palette", 4: "grey, alpha", 6: "alpha"}  # by colour type
_PNG_CHANNELS = {2: 3, 4: 2, 6: 4}
_IHDR = b"\0\0\0\x0dIHDR"
_MOST_CHUNKS = 2**17  # encoders write 8 kB of picture data into each
_MOST_TEXTS = 50  # compressed remarks in a PNG, each of which libpng unpacks to as much as 8 MB
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _PROGRESSIVE = 0xD8, 0xD9, 0xDA, 0xC2
_MOST_MARKERS = 10_000  # before the first scan, or in a file without an end
_BOX_BYTES = 1 << 16  # the boxes that describe an AVIF or a JPEG 2000 lie in front


class Header(NamedTuple):
    """What the header says; sizes are those before any EXIF rotation."""

    format: str  # "JPEG", "PNG", ...; empty: not a picture format known here
    width: int = 0  # pixels; 0 where the header does not say
    height: int = 0
    whole: bool = (
        True  # False for a JPEG without an end, for a PNG within a chunk of which the file ends, and within any header
    )
    mode: str = ""  # "grey", "palette", "CMYK", "16 bits", ...; empty: plain colour, or not said
    passes: int = 1  # over the whole picture: the scans of a progressive JPEG
    bits: int = 16  # of a value that is stored in 16
    plain: bool = True  # False for what OpenCV decodes wrongly or not at all
    refused: str = ""  # why nothing here decodes it, a clause
    alpha: bool = True  # whether a fourth channel is transparency; False in a TIFF that does not say so
    multiplied: bool = False  # whether OpenCV gives colours that are multiplied by their alpha
    planes: int = 1  # of 16 bits that lie apart


def header(encoded: bytes) -> Header:
    """The header of an encoded picture.

    Limit: anything unknown, empty bytes too, gives an empty format.
    """
    for name, signature, read_size in _FORMATS:
        if signature.match(encoded):
            try:
                return read_size(name, encoded)
            except (struct.error, IndexError):
                return Header(name, whole=False)
    return Header("")


def unknown_format(encoded: bytes) -> str:
    """What bytes of an empty format are, a clause."""
    for name, signature in _REFUSED:
        if signature.match(encoded):
            return tr("it is a {name} file, which is not read here; convert it to JPEG or PNG", name=name)
    start = encoded[:24]
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        return tr("it is no picture but text, beginning {start!r}", start=start.decode("ascii").strip())
    return tr(
        "it is in no known picture format (first bytes {start}); convert it to JPEG or PNG", start=start[:8].hex(" ")
    )


def _mode(bits: int, *names: str) -> str:
    """The names that are not empty, and the bits where they are not 8."""
    return ", ".join([*filter(None, names), *([f"{bits} bits"] if bits != 8 else [])])


def _jpeg(name: str, encoded: bytes) -> Header:
    """Walks the segments; between scans from marker to marker: no thumbnail, no appended byte confuses it."""
    position, width, height, in_scan, mode, passes = 2, 0, 0, False, "", 1
    for _ in range(_MOST_MARKERS):
        if (marker := _MARKER.search(encoded, position)) is None:
            break
        code, position = encoded[marker.end() - 1], marker.end()
        if code == _END_OF_IMAGE:
            return Header(name, width, height, in_scan, mode, passes)
        if code in (0x01, _START_OF_IMAGE):
            continue
        (length,) = struct.unpack_from(">H", encoded, position)
        if code in _START_OF_FRAME:
            height, width, components = struct.unpack_from(">HHB", encoded, position + 3)
            mode = _JPEG_MODES.get(components, f"{components} components")
            passes = encoded.count(b"\xff\xda", position) if code == _PROGRESSIVE else 1
        if code == _START_OF_SCAN:
            in_scan = True
            if encoded.endswith(b"\xff\xd9"):
                return Header(name, width, height, True, mode, passes)
        position += length
    return Header(name, width, height, False, mode, passes)


def _png(name: str, encoded: bytes) -> Header:
    """OpenCV forgets the one transparent value (tRNS) of a grey PNG."""
    if not encoded.startswith(_IHDR, 8):
        return Header(name, refused=tr("the PNG is damaged"))
    width, height, bits, colour = struct.unpack_from(">IIBB", encoded, 16)
    chunks, packed, whole = _png_chunks(encoded)
    raw = height * (1 + width * bits * _PNG_CHANNELS.get(colour, 1) // 8)
    # OpenCV dies of such a chunk in an APNG.
    refused = "" if all(map(bytes.isalpha, chunks)) else tr("the PNG is damaged")
    if (
        packed > 2 * raw + _BOX_BYTES
        or chunks[b"zTXt"] + chunks[b"iTXt"] > _MOST_TEXTS
        or chunks.total() == _MOST_CHUNKS
    ):
        refused = tr("it holds far more data than its pixels need, which would take minutes to unpack; save it anew")
    keyed = colour == 0 and b"tRNS" in chunks
    return Header(name, width, height, whole, _mode(bits, _PNG_MODES.get(colour, "")), plain=not keyed, refused=refused)


def _png_chunks(encoded: bytes) -> tuple[Counter[bytes], int, bool]:
    """Chunks of each kind among the first _MOST_CHUNKS, bytes of picture data, and whether none ends too late.

    OpenCV reserves the memory that a chunk claims, up to 2 GB, before it looks whether the file has as much.
    """
    found: Counter[bytes] = Counter()
    position, packed = 8, 0
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(encoded):
            break
        length, kind = struct.unpack_from(">I4s", encoded, position)
        found[kind] += 1
        packed += length if kind == b"IDAT" else 0
        position += 12 + length
        if kind == b"IEND":
            break
    return found, packed, position <= len(encoded) + 4


def _gif(name: str, encoded: bytes) -> Header:
    return Header(name, *struct.unpack_from("<HH", encoded, 6))


def _bmp(name: str, encoded: bytes) -> Header:
    """OpenCV takes OS/2's palette for a later one, values of 5 bits for eighths, and any masks for the usual ones."""
    (size,) = struct.unpack_from("<I", encoded, 14)
    if size == 12:  # the oldest form counts in 16 bits
        width, height = struct.unpack_from("<HH", encoded, 18)
        return Header(name, width, height, plain=False)
    width, height, _, bits, packing = struct.unpack_from("<iiHHI", encoded, 18)
    masked = packing in _BMP_MASKED and (size < 56 or encoded[54:66] != _BMP_MASKS or bits != 32)
    plain = size in _BMP_SIZES and bits != 16 and not masked
    return Header(name, abs(width), abs(height), plain=plain)  # a negative height means rows from the top


def _webp(name: str, encoded: bytes) -> Header:
    kind = encoded[12:16]
    if kind == b"VP8X":
        return Header(name, 1 + int.from_bytes(encoded[24:27], "little"), 1 + int.from_bytes(encoded[27:30], "little"))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", encoded, 21)
        return Header(name, 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    width, height = struct.unpack_from("<HH", encoded, 26)
    return Header(name, width & 0x3FFF, height & 0x3FFF)


def _tiff(name: str, encoded: bytes) -> Header:
    """OpenCV multiplies 8-bit colours by their alpha, and knows no Lab, no 2 or 4 bits, no newer compression."""
    tags = tiff_tags.tags(encoded)
    bits, samples, colours = (
        tags.get(tiff_tags.BITS, 1),
        tags.get(tiff_tags.SAMPLES, 1),
        tags.get(tiff_tags.PHOTOMETRIC, 0),
    )
    narrow = bits in (1, 8) and samples == _TIFF_SAMPLES.get(colours) and tiff_tags.TILE_WIDTH not in tags
    wide = 8 < bits <= 16 and colours in (1, 2) and samples != 2
    return Header(
        name,
        tags.get(tiff_tags.WIDTH, 0),
        tags.get(tiff_tags.HEIGHT, 0),
        mode=_mode(bits, _TIFF_MODES.get(colours, ""), "alpha" if tiff_tags.EXTRA_SAMPLES in tags else ""),
        plain=(narrow or wide) and tags.get(tiff_tags.COMPRESSION, 1) in _TIFF_COMPRESSIONS,
        refused=_tiff_refused(tags),
        alpha=tags.get(tiff_tags.EXTRA_SAMPLES) in (1, 2),
        multiplied=tags.get(tiff_tags.EXTRA_SAMPLES) == 1,
        planes=samples if bits == 16 and samples > 1 and tags.get(tiff_tags.PLANES) == 2 else 1,
    )


def _tiff_refused(tags: dict[int, int]) -> str:
    """What neither decoder reads, or one of them reads wrongly (tests/pictures/test_against_writers.py counts)."""
    tile = tags.get(tiff_tags.TILE_WIDTH, 0), tags.get(tiff_tags.TILE_HEIGHT, 0)
    if tile[0] * tile[1] > _MOST_TILE_PIXELS:
        return tr("it claims tiles of {height} x {width} pixels; save it anew", height=tile[0], width=tile[1])
    bits, colours = tags.get(tiff_tags.BITS, 1), tags.get(tiff_tags.PHOTOMETRIC, 0)
    if bits > 16:
        return tr("its values have {bits} bits, and 8 or 16 are accepted; convert it to PNG", bits=bits)
    if bits > 8 and colours == 0:
        return tr("in its 16-bit values 0 is white, and 0 for black is accepted; convert it to PNG")
    return _channels_refused(bits, colours, tags.get(tiff_tags.SAMPLES, 1), tags)


def _channels_refused(bits: int, colours: int, samples: int, tags: dict[int, int]) -> str:
    extra = tags.get(tiff_tags.EXTRA_SAMPLES) if samples > _TIFF_SAMPLES.get(colours, samples) else None
    if tags.get(tiff_tags.PLANES) == 2 and samples > 1:
        if bits == 16 and colours in (1, 2) and samples <= _MOST_PLANES:
            return ""  # each plane is decoded as a grey picture
        if bits > 8:
            return tr("its 16-bit colours lie in separate planes, and interleaved ones are accepted; convert it to PNG")
        if samples > _TIFF_SAMPLES.get(colours, samples) and (colours, extra) != (2, 2):
            return tr("a further channel lies in a plane apart, and interleaved ones are accepted; convert it to PNG")
    if colours in (0, 1) and samples > 1 and (bits > 8 or extra == 1):
        kind = tr("grey of {bits} bits", bits=bits) if bits > 8 else tr("grey that is multiplied by its alpha")
        return tr("it holds {kind} and a further channel, which nothing here reads; convert it to PNG", kind=kind)
    return ""


def _avif(name: str, encoded: bytes) -> Header:
    """The largest size that a box states: of the tiles of a grid, each has one too."""
    boxes = [struct.unpack_from(">II", encoded, at.end() + 4) for at in re.finditer(b"ispe", encoded[:_BOX_BYTES])]
    width, height = max(boxes, key=lambda size: size[0] * size[1], default=(0, 0))
    return Header(name, width, height, plain=False)


def _jpeg2000(name: str, encoded: bytes) -> Header:
    """OpenCV refuses two components, and takes YCC and CMYK for RGB; above 8 bits Pillow overflows at white."""
    start, colours = encoded.find(b"\xff\x4f\xff\x51", 0, _BOX_BYTES), encoded.find(b"colr", 0, _BOX_BYTES)
    if start < 0:
        return Header(name, plain=False)
    right, bottom, left, top = struct.unpack_from(">IIII", encoded, start + 8)
    components, depth = struct.unpack_from(">HB", encoded, start + 40)
    space = int.from_bytes(encoded[colours + 7 : colours + 11], "big") if colours >= 0 else 0
    bits = (depth & 0x7F) + 1
    plain = bits > 8 or (components not in (2, 4) and space != _SYCC)
    mode = _mode(bits, _JP2_MODES.get(space, ""))
    return Header(name, max(0, right - left), max(0, bottom - top), mode=mode, plain=plain, bits=bits)


def _netpbm(name: str, encoded: bytes) -> Header:
    """A white of neither 255 nor 65535 is refused: OpenCV does not scale it."""
    numbers = _NUMBERS.match(encoded[:1000])
    if numbers is None:
        return Header(name)
    white = 255 if encoded[1:2] in b"14" else int(numbers[3])
    refused = (
        ""
        if white in (255, 65535)
        else tr("its white is {white}, and 255 or 65535 is accepted; convert it to PNG", white=white)
    )
    return Header(name, int(numbers[1]), int(numbers[2]), refused=refused)


_GAP = rb"(?:\s|#[^\n]*\n)+"
_NUMBERS = re.compile(rb"P[1-6]" + _GAP + rb"(\d{1,10})" + _GAP + rb"(\d{1,10})" + _GAP + rb"(\d{1,5})")
_BMP_SIZES = (40, 52, 56, 108, 124)  # of the header
_BMP_MASKED = (3, 6)  # compressions that are none, but masks
_BMP_MASKS = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
_MOST_PLANES = 5  # colours, alpha, and one more that nobody shows
_MOST_TILE_PIXELS = 2**26  # a tile is unpacked whole
_SYCC = 18
_JP2_MODES = {12: "CMYK", 17: "grey", _SYCC: "YCbCr"}  # by enumerated colour space
_TIFF_MODES = {0: "grey", 1: "grey", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab"}  # by photometric interpretation
_TIFF_SAMPLES = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4}  # without any alpha
_TIFF_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}  # none, CCITT, LZW, JPEG, Deflate, PackBits
_FORMATS = tuple(
    (name, re.compile(signature, re.DOTALL), read_size)
    for name, signature, read_size in (
        ("JPEG", rb"\xff\xd8\xff", _jpeg),
        ("PNG", rb"\x89PNG\r\n\x1a\n", _png),
        ("GIF", rb"GIF8[79]a", _gif),
        ("WebP", rb"RIFF....WEBP", _webp),
        ("BMP", rb"BM.{4}\0\0\0\0", _bmp),
        ("TIFF", rb"II[*+]\0|MM\0[*+]", _tiff),
        ("AVIF", rb"....ftyp(?:....){0,16}?avi[fs]", _avif),
        ("JPEG 2000", rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", _jpeg2000),
        ("PNM", rb"P[1-6]\s", _netpbm),
    )
)
_REFUSED = tuple(
    (name, re.compile(signature, re.DOTALL))
    for name, signature in (
        ("HEIC", rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)"),
        ("PAM", rb"P7\s"),
        ("JPEG XL", rb"\xff\x0a|\0\0\0\x0cJXL "),
        ("PDF", rb"%PDF-"),
        ("Photoshop", rb"8BPS"),
        ("SVG", rb"\s*(<\?xml[^>]*>\s*)?<svg"),
    )
)
