"""Tags that writers spell in other ways: orientation as LONG, prefixed EXIF, extra samples, planes and tiles."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from recipe.pictures.decode import decode

PICTURE = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
TURNED = np.rot90(PICTURE, -1)  # what orientation 6 asks for


def exif(order: str, kind: int) -> bytes:
    mark = {"<": b"II", ">": b"MM"}[order]
    value = struct.pack(order + ("H" if kind == 3 else "I"), 6).ljust(4, b"\0")
    entry = struct.pack(order + "HHI", 0x0112, kind, 1) + value
    return mark + struct.pack(order + "HIH", 42, 8, 1) + entry + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4], ids=["SHORT", "LONG"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"], ids=["bare", "prefix"])
def test_orientation_however_it_is_written(order: str, kind: int, prefix: bytes) -> None:
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "PNG")
    encoded, data = stream.getvalue(), prefix + exif(order, kind)
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    assert np.array_equal(decode(encoded[:33] + chunk + encoded[33:]), TURNED)
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "JPEG", quality=95, exif=b"Exif\0\0" + exif(order, kind))
    plain = io.BytesIO()
    Image.fromarray(PICTURE).save(plain, "JPEG", quality=95)
    assert np.array_equal(decode(stream.getvalue()), np.rot90(decode(plain.getvalue()), -1))


def tiff(samples: np.ndarray, order: str, extra: int | None = None, planes: int = 1, tile: int = 0) -> bytes:
    """An uncompressed TIFF, written by hand from TIFF 6.0."""
    height, width, count = samples.shape
    data = samples.astype(samples.dtype.newbyteorder(order))
    if planes == 2:
        parts = [data[:, :, plane].tobytes() for plane in range(count)]
    elif tile:
        parts = [
            np.ascontiguousarray(data[y : y + tile, x : x + tile]).tobytes()
            for y in range(0, height, tile)
            for x in range(0, width, tile)
        ]
    else:
        parts = [data.tobytes()]
    body, offsets = b"", []
    for part in parts:
        offsets.append(8 + len(body))
        body += part
    entries = {256: [width], 257: [height], 258: [8 * samples.itemsize] * count, 259: [1], 262: [2], 277: [count]}
    entries |= {284: [planes]} | ({338: [extra]} if extra is not None else {})
    sizes = [len(part) for part in parts]
    entries |= (
        {322: [tile], 323: [tile], 324: offsets, 325: sizes} if tile else {273: offsets, 278: [height], 279: sizes}
    )
    start = 8 + len(body)
    later, directory, at = b"", b"", start + 2 + 12 * len(entries) + 4
    for tag, values in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(packed) > 4:
            directory += struct.pack(order + "HHII", tag, 4, len(values), at + len(later))
            later += packed
        else:
            directory += struct.pack(order + "HHI", tag, 4, len(values)) + packed
    mark = {"<": b"II", ">": b"MM"}[order]
    head = mark + struct.pack(order + "HI", 42, start)
    return head + body + struct.pack(order + "H", len(entries)) + directory + bytes(4) + later


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("wide", [False, True], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("form", ["plain", "extra unspecified", "alpha", "planes", "tiles"])
def test_tiff_as_it_was_written(order: str, wide: bool, form: str) -> None:
    alpha = np.full((32, 48, 1), 128, np.uint8)
    extra = {"extra unspecified": 0, "alpha": 2}.get(form)
    samples = PICTURE if extra is None else np.concatenate([PICTURE, alpha], axis=2)
    samples = samples.astype(np.uint16) * 257 if wide else samples
    encoded = tiff(samples, order, extra, 2 if form == "planes" else 1, 16 if form == "tiles" else 0)
    white = (PICTURE.astype(int) * 128 + 255 * 127 + 127) // 255
    expected = white if form == "alpha" else PICTURE
    assert np.abs(decode(encoded).astype(int) - expected).max() <= (1 if form == "alpha" else 0)
