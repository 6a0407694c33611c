"""BMP of every header, depth and order of masks, as Pillow reads it; other kinds that OpenCV gives wrong colours."""

from __future__ import annotations

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from recipe.pictures.decode import decode
from recipe.pictures.errors import UnreadablePicture

MASKS = {
    (16, "555"): (0x7C00, 0x3E0, 0x1F),
    (16, "565"): (0xF800, 0x7E0, 0x1F),
    (16, "bgr565"): (0x1F, 0x7E0, 0xF800),
    (32, "bgrx"): (0xFF0000, 0xFF00, 0xFF),
    (32, "bgra"): (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
    (32, "rgbx"): (0xFF, 0xFF00, 0xFF0000),
    (32, "rgba"): (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
    (32, "xrgb"): (0xFF00, 0xFF0000, 0xFF000000),
    (32, "10 bits"): (0x3FF00000, 0xFFC00, 0x3FF),
}
SIZES = (12, 40, 52, 56, 64, 108, 124)  # of the header: OS/2, Windows 3, with masks, with alpha, OS/2 2, V4, V5


def bmp(size: int, bits: int, masks: tuple[int, ...] = (), height: int = 4) -> bytes:
    """A BMP of 5 pixels a row with random content, written by hand from Microsoft's description of the format."""
    rng = np.random.default_rng(0)
    data = rng.bytes((5 * bits + 31) // 32 * 4 * abs(height))
    colours = rng.integers(0, 256, (2**bits if bits <= 8 else 0, 3 if size == 12 else 4), np.uint8)
    colours[:, 3:] = 0
    packed = struct.pack(f"<{len(masks)}I", *masks)
    if size == 12:
        head = struct.pack("<IHHHH", 12, 5, height, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", size, 5, height, 1, bits, 3 if masks else 0, len(data), 0, 0, 0, 0)
        head = (head + packed).ljust(size, b"\0")
    start = 14 + len(head) + colours.nbytes
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + colours.tobytes() + data


def cases() -> list[tuple[str, bytes]]:
    plain = [(f"{size}, {bits} bits, {high}", bmp(size, bits, height=high))
             for size, bits, high in itertools.product(SIZES, (1, 4, 8, 16, 24, 32), (4, -4))
             if size != 12 or (high > 0 and bits in (1, 4, 8, 24))]  # fmt: skip
    masked = [(f"{size}, {bits} bits as {name}, {high}", bmp(size, bits, masks, high))
              for size, ((bits, name), masks), high in itertools.product(SIZES[1:], MASKS.items(), (4, -4))
              if len(masks) == 3 or size >= 56]  # fmt: skip
    return plain + masked


def of_pillow(encoded: bytes) -> np.ndarray | None:
    try:
        image = Image.open(io.BytesIO(encoded)).convert("RGBA")
    except (UnidentifiedImageError, OSError):
        return None
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"))


def test_every_bmp_has_the_colours_that_pillow_gives_it_or_is_refused() -> None:
    wrong, equal = [], 0
    for name, encoded in cases():
        expected = of_pillow(encoded)
        try:
            shown = decode(encoded)
        except UnreadablePicture:
            assert expected is None, name
            continue
        if expected is None or np.abs(shown.astype(int) - expected).max() > 1:  # transparency is rounded otherwise
            wrong.append(name)
        equal += 1
    assert (wrong, equal > 100) == ([], True)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_pam_is_refused_by_name(depth: int) -> None:
    """OpenCV gives its red for blue, its black for white, and two channels that nobody asked for."""
    with pytest.raises(UnreadablePicture, match="PAM"):
        decode(b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH %d\nMAXVAL 255\nENDHDR\nabcd" % depth)


def test_a_white_of_one_is_refused_where_it_is_no_bitmap() -> None:
    with pytest.raises(UnreadablePicture, match="its white is 1"):
        decode(b"P5\n2 1\n1\n\1\0")
    assert decode(b"P4\n8 1\n\xaa")[0, :2, 0].tolist() == [0, 255]


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0mif1heic", b"msf1\0\0\0\0hevcmsf1"])
def test_a_picture_of_a_telephone_is_called_heic_and_no_damaged_avif(brands: bytes) -> None:
    with pytest.raises(UnreadablePicture, match="HEIC"):
        decode(b"\0\0\0\x18ftyp" + brands + bytes(100))


@pytest.mark.parametrize("brand", [b"avif", b"mif1"])
def test_an_avif_is_known_by_any_of_its_brands(brand: bytes) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(stream, "AVIF")
    encoded = stream.getvalue()
    assert decode(encoded[:8] + brand + encoded[12:]).shape == (8, 8, 3)
