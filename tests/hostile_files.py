"""Pictures that mean harm, by name: the bytes, and what the refusal says (empty: it is decoded, for its pixels are
whole).
"""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image

MOST = r"at most 134,217,728 pixels"


def png(size: tuple[int, int], packed: bytes, before: bytes = b"", bits: int = 8, colour: int = 2) -> bytes:
    """A PNG of a given size, with picture data that need not fit it, and further chunks before them."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def saved(kind: str, **options) -> bytearray:
    """A black picture of 8 x 8 pixels."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, kind, **options)
    return bytearray(stream.getvalue())


def patched(encoded: bytearray, mark: bytes, offset: int, form: str, *values: int) -> bytes:
    """The bytes with numbers written `offset` after the first `mark`."""
    copy = bytearray(encoded)
    struct.pack_into(form, copy, copy.index(mark) + offset, *values)
    return bytes(copy)


def tiff(entries: dict[int, int]) -> bytes:
    """A little-endian TIFF with these tags as LONGs beside those of 8 x 8 grey pixels."""
    known = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64} | entries
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(known.items()))
    return b"II*\0" + struct.pack("<I", 72) + bytes(64) + struct.pack("<H", len(known)) + directory + bytes(4)


def bmp(width: int, height: int) -> bytes:
    return (
        b"BM"
        + struct.pack("<I", 100)
        + bytes(4)
        + struct.pack("<IIiiHHIIiiII", 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    )


def gif(canvas: tuple[int, int], frame: tuple[int, int]) -> bytes:
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", *canvas, 0x80, 0, 0)
        + bytes(6)
        + b","
        + struct.pack("<HHHHB", 0, 0, *frame, 0)
        + b"\2\2L\1\0;"
    )


def scans(side: int, number: int) -> bytes:
    """A progressive JPEG of `side` x `side` pixels that passes over them again and again."""
    jpeg = saved("JPEG", progressive=True)
    last = bytes(jpeg[jpeg.rindex(b"\xff\xda") : -2])
    return patched(jpeg, b"\xff\xc2", 5, ">HH", side, side)[:-2] + last * number + b"\xff\xd9"


def exif(entries: bytes, count: int, start: int = 8) -> bytes:
    """A JPEG whose EXIF directory is crafted."""
    block = b"Exif\0\0II*\0" + struct.pack("<IH", start, count) + entries
    jpeg = saved("JPEG")
    return bytes(jpeg[:2]) + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + bytes(jpeg[2:])


def hostile() -> dict[str, tuple[bytes, str]]:
    """All of them; a few hundred kilobytes in memory."""
    whole, text = zlib.compress(bytes(8 * 25)), zlib.compress(bytes(7_900_000), 9)
    loop = struct.pack("<HHII", 0x8769, 4, 1, 8) * 3  # sub-directories that lie where they are named
    jpeg, j2k, jp2, avif = saved("JPEG"), saved("JPEG2000", no_jp2=True), saved("JPEG2000"), saved("AVIF")
    return {
        "empty": (b"", "empty"),
        "text": (b"Not Found\n", "no picture but text"),
        "page": (b"<!DOCTYPE html>", "no picture but text"),
        "heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC file, which is not read here; convert it"),
        "svg": (b'<?xml version="1.0"?>\n<svg/>', "a SVG file"),
        "truncated": (bytes(jpeg[:-4]), "truncated"),
        "png-size": (png((60000, 50000), whole), MOST),
        "png-within-the-limit": (png((11000, 11000), whole, bits=16, colour=6), "damaged"),
        "png-chunk": (png((8, 8), whole, struct.pack(">I", 2**30) + b"none"), "truncated"),
        "png-idat": (png((8, 8), text * 12), "far more data than its pixels need"),
        "png-itxt": (png((8, 8), whole, chunk(b"iTXt", b"k\0\1\0\0\0" + text)), ""),
        "png-iccp": (png((8, 8), whole, chunk(b"iCCP", b"k\0\0" + text)), ""),
        "png-ztxt": (png((8, 8), whole, chunk(b"zTXt", b"k\0\0" + text) * 60), "far more data than its pixels need"),
        "png-keyed": (
            png((8, 8), zlib.compress(bytes(72)), chunk(b"tRNS", b"\0\0") + chunk(b"zTXt", b"k\0\0" + text), 8, 0),
            "damaged",
        ),
        "png-chunks": (png((8, 8), whole, chunk(b"none", b"") * 140_000), "far more data than its pixels need"),
        "gif-canvas": (gif((65535, 65535), (4, 4)), MOST),
        "gif-frame": (gif((4, 4), (65535, 65535)), "damaged"),
        "webp": (b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff" * 6, MOST),
        "bmp": (bmp(60000, 60000), MOST),
        "bmp-height": (bmp(100, -(2**31)), MOST),
        "ppm": (b"P6 60000 60000 255\n" + bytes(100), MOST),
        "ppm-remark": (b"P6 #" + b"x" * 2000 + b"\n60000 60000 255\n", MOST),
        "pam": (b"P7\nWIDTH 60000\nHEIGHT 60000\nDEPTH 3\nMAXVAL 255\nENDHDR\n", "PAM"),
        "tiff-size": (tiff({256: 60000, 257: 60000}), MOST),
        "tiff-within-the-limit": (tiff({256: 11000, 257: 11000}), "damaged"),
        "tiff-tiles": (tiff({322: 2**31 - 16, 323: 2**31 - 16, 324: 8, 325: 64}), "tiles of"),
        "tiff-samples": (tiff({277: 65535}), "damaged"),
        "tiff-strips": (tiff({278: 2**32 - 1, 279: 2**32 - 1}), ""),
        "tiff-loop": (b"II*\0\4\0\0\0\xff\xff" + b"\4\0\4\0\1\0\0\0\4\0\0\0" * 40, "damaged"),
        "tiff-beyond": (b"II*\0\xff\xff\xff\xff", "damaged"),
        "bigtiff-beyond": (b"II+\0\x08\0\0\0" + b"\xff" * 8, "damaged"),
        "j2k": (patched(j2k, b"\xff\x4f\xff\x51", 8, ">II", 60000, 60000), MOST),
        "jp2": (patched(jp2, b"\xff\x4f\xff\x51", 8, ">II", 60000, 60000), MOST),
        "jp2-header": (patched(jp2, b"ihdr", 4, ">II", 60000, 60000), "damaged"),
        "avif": (patched(avif, b"ispe", 8, ">II", 60000, 60000), MOST),
        "jpeg-size": (patched(jpeg, b"\xff\xc0", 5, ">HH", 65535, 65535), MOST),
        "jpeg-scans": (scans(11000, 200), "progressive JPEG of 210 scans"),
        "jpeg-markers": (b"\xff\xd8\xff" + b"\x01\xff" * 2**20, "truncated"),
        "jpeg-segment": (b"\xff\xd8\xff\xe0" + bytes(2**20), "truncated"),
        "exif-loop": (exif(loop, 3), ""),
        "exif-count": (exif(loop, 65535), ""),
        "exif-beyond": (exif(loop, 3, 2**32 - 1), ""),
        "exif-value": (exif(struct.pack("<HHII", 0x0112, 3, 2**31, 2**31), 1), ""),
    }
