"""The decoder against Pillow, on odd, broken and hostile files; the resize rule by its properties."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from recipe.pictures import decode
from recipe.pictures.errors import UnreadablePicture
from recipe.pictures.header import header
from recipe.pictures.tiff import orientation

ROOT = Path(__file__).resolve().parents[2]


def scene(height: int = 60, width: int = 84) -> np.ndarray:
    """A smooth coloured picture without symmetry, so that a wrong turn shows."""
    generator = np.random.default_rng(3)
    return cv2.resize(
        generator.integers(0, 255, (5, 7, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )


SCENE = scene()
PILLOW = Image.fromarray(SCENE)
ALPHA = np.linspace(0, 255, 60 * 84).reshape(60, 84).astype(np.uint8)


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def with_orientation(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


JPEG = encoded(PILLOW, "JPEG", quality=92)


def test_lossless_formats_give_the_very_pixels():
    for kind, options in (
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
        ("PPM", {}),
        ("JPEG2000", {}),
    ):
        np.testing.assert_array_equal(decode.decode(encoded(PILLOW, kind, **options)), SCENE, err_msg=kind)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 2}])
def test_jpeg_is_what_pillow_decodes(options):
    data = encoded(PILLOW, "JPEG", quality=92, **options)
    assert np.abs(decode.decode(data).astype(int) - np.array(Image.open(io.BytesIO(data)))).max() <= 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured_in_every_format_that_has_it(kind, orientation):
    data = encoded(PILLOW, kind, exif=with_orientation(orientation), **({"lossless": True} if kind == "WEBP" else {}))
    expected = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    image = decode.decode(data)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= (3 if kind == "JPEG" else 0)


def test_orientation_reads_both_byte_orders_and_survives_nonsense():
    for order in "<>":
        block = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IHHHIHH", 8, 1, 0x0112, 3, 1, 6, 0)
        assert orientation(block) == 6
    assert [orientation(block) for block in (b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"x" * 40)] == [1, 1, 1, 1]


def test_sixteen_bits_are_scaled_and_do_not_saturate():
    grey = np.linspace(0, 65535, 60 * 84).reshape(60, 84).astype(np.uint16)
    image = decode.decode(encoded(Image.fromarray(grey), "PNG"))
    np.testing.assert_array_equal(image, np.repeat(np.rint(grey / 257).astype(np.uint8)[..., None], 3, axis=2))
    colour = cv2.imencode(".png", SCENE[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
    np.testing.assert_array_equal(decode.decode(colour), SCENE)
    ten_bits = cv2.imencode(
        ".avif", SCENE[..., ::-1].astype(np.uint16) * 4, [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 95]
    )
    assert np.abs(decode.decode(ten_bits[1].tobytes()).astype(int) - SCENE).mean() < 4


def test_cmyk_jpeg_keeps_its_colours():
    assert np.abs(decode.decode(encoded(PILLOW.convert("CMYK"), "JPEG", quality=95)).astype(int) - SCENE).mean() < 3


def photograph(height=1200, width=1601):
    """A scene with edges and noise, as a camera gives it."""
    image = 45 + 0.65 * scene(height, width) + np.random.default_rng(4).normal(0, 12, (height, width, 1))
    image[::97] *= 0.8
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


LARGE = photograph()
LARGE_JPEGS = {
    "plain": encoded(LARGE, "JPEG", quality=92),
    "progressive": encoded(LARGE, "JPEG", quality=92, progressive=True),
    "full colour": encoded(LARGE, "JPEG", quality=92, subsampling=0),
    "grey": encoded(LARGE.convert("L"), "JPEG", quality=92),
    "ink": encoded(LARGE.convert("CMYK"), "JPEG", quality=92),
    "turned": encoded(LARGE, "JPEG", quality=92, exif=with_orientation(6)),
}


@pytest.mark.parametrize("kind", LARGE_JPEGS)
@pytest.mark.parametrize(("side", "scale"), [(300, 2), (150, 4), (75, 8), (20, 8)])
def test_a_large_jpeg_is_shrunk_while_it_is_decoded_and_looks_the_same(kind, side, scale):
    data = LARGE_JPEGS[kind]
    assert decode.scale_of(header(data), side) == scale
    small = decode.decode(data, side=side)
    whole = decode.decode(data)
    assert small.shape == (*(-(-length // scale) for length in whole.shape[:2]), 3)
    expected = decode.resize_short(whole, side)
    found = cv2.resize(decode.resize_short(small, side), expected.shape[1::-1])
    difference = np.abs(found.astype(int) - expected)
    assert difference.mean() < 1.0
    assert np.percentile(difference, 99) <= 6


def test_where_there_is_no_room_to_spare_every_pixel_is_decoded():
    data = LARGE_JPEGS["plain"]
    whole = decode.decode(data)
    for side in (0, 301, 1200, 5000):
        np.testing.assert_array_equal(decode.decode(data, side=side), whole)
    lossless = encoded(PILLOW, "PNG")
    np.testing.assert_array_equal(decode.decode(lossless, side=2), SCENE)  # what has no such means


def test_a_large_jpeg_that_is_cut_is_refused_at_every_scale():
    data = LARGE_JPEGS["plain"]
    for end in (len(data) // 3, len(data) - 2):
        for side in (0, 300, 75):
            with pytest.raises(UnreadablePicture, match="ends before the picture does"):
                decode.decode(data[:end], side=side)


def test_transparency_is_composited_over_white():
    rgba = Image.fromarray(np.dstack([SCENE, ALPHA]))
    white = Image.new("RGBA", rgba.size, "white")
    expected = np.array(Image.alpha_composite(white, rgba).convert("RGB")).astype(int)
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True})):
        assert np.abs(decode.decode(encoded(rgba, kind, **options)) - expected).max() <= 1
    grey = Image.merge("LA", (PILLOW.convert("L"), Image.fromarray(ALPHA)))
    over = np.array(PILLOW.convert("L")).astype(float) * ALPHA / 255 + 255.0 - ALPHA
    assert np.abs(decode.decode(encoded(grey, "PNG"))[..., 0] - over).max() <= 1


def test_fully_transparent_palette_entries_turn_white():
    palette = PILLOW.quantize(16)
    expected = np.array(palette.convert("RGB"))
    expected[np.array(palette) == 3] = 255
    for kind in ("PNG", "GIF"):
        np.testing.assert_array_equal(decode.decode(encoded(palette, kind, transparency=3)), expected, err_msg=kind)


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_grey_bitmap_and_palette_become_rgb(mode):
    picture = PILLOW.quantize(16) if mode == "P" else PILLOW.convert(mode)
    np.testing.assert_array_equal(decode.decode(encoded(picture, "PNG")), np.array(picture.convert("RGB")))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_counts(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    still = decode.decode(encoded(PILLOW, kind, **options))
    np.testing.assert_array_equal(
        decode.decode(encoded(PILLOW, kind, save_all=True, append_images=[PILLOW.rotate(180)], **options)), still
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(JPEG) - 1))
def test_every_truncated_jpeg_is_refused(length):
    with pytest.raises(UnreadablePicture):
        decode.decode(JPEG[:length])


def test_a_progressive_jpeg_without_its_last_scans_is_refused():
    data = encoded(PILLOW, "JPEG", progressive=True)
    with pytest.raises(UnreadablePicture, match="truncated"):
        decode.decode(data[: data.rfind(b"\xff\xda")])


def test_a_thumbnail_does_not_hide_a_truncation_nor_appended_bytes_a_whole_picture():
    exif = b"Exif\0\0" + JPEG  # a whole JPEG within the header, as cameras put it
    photo = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]
    np.testing.assert_array_equal(decode.decode(photo), decode.decode(JPEG))
    np.testing.assert_array_equal(decode.decode(photo + b"film \xff\xda film"), decode.decode(JPEG))
    with pytest.raises(UnreadablePicture, match="truncated"):
        decode.decode(photo[:-200])
    with pytest.raises(UnreadablePicture):
        decode.decode(photo[: 4 + 2 + len(exif)])  # ends with the thumbnail's own end


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG"]), st.floats(0, 1), st.integers(0, 2**32 - 1)
)
def test_damage_is_refused_or_decoded_but_never_crashes(kind, place, noise):
    data = bytearray(encoded(PILLOW, kind))
    where = int(place * (len(data) - 4))
    data[where : where + 4] = noise.to_bytes(4, "little")
    try:
        image = decode.decode(bytes(data))
    except UnreadablePicture:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(
        [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF....WEBP", b"BM....\0\0\0\0", b"II*\0"]
    ),
    st.binary(max_size=80),
)
def test_random_bytes_are_refused(start, rest):
    with pytest.raises(UnreadablePicture):
        decode.decode(start + rest)


def bomb_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    size = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + size + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_a_picture_that_claims_too_many_pixels_is_refused_before_decoding():
    with pytest.raises(UnreadablePicture, match=r"60000 x 50000 pixels, and at most 134,217,728"):
        decode.decode(bomb_png(60000, 50000))
    start = JPEG.index(b"\xff\xc0") + 5
    with pytest.raises(UnreadablePicture, match="65535 x 65535"):
        decode.decode(JPEG[:start] + b"\xff\xff\xff\xff" + JPEG[start + 4 :])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html>\n<html>404</html>", "no picture but text, beginning '<!DOCTYPE html>"),
        (bytes(range(128, 200)), "no known picture format"),
        (JPEG[:-300], "truncated"),
        (encoded(PILLOW, "PNG")[:900], "PNG ends before"),
        (
            cv2.imencode(".tiff", SCENE.astype(np.float32))[1].tobytes(),
            "its values have 32 bits, and 8 or 16 are accepted",
        ),
    ],
)
def test_the_message_names_the_file_and_the_reason(tmp_path, data, reason):
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    with pytest.raises(UnreadablePicture) as caught:
        decode.read(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_paths_may_be_text_or_path_and_hold_any_character(tmp_path):
    path = tmp_path / "蘑菇 é & 'x'" / "picture #1.jpg"
    path.parent.mkdir()
    path.write_bytes(JPEG)
    np.testing.assert_array_equal(decode.read(str(path)), decode.read(path))


def test_missing_file_and_folder_have_their_own_messages(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no picture"):
        decode.read(tmp_path / "none.jpg")
    with pytest.raises(UnreadablePicture, match="it is a folder, and a picture is a regular file"):
        decode.read(tmp_path)


@pytest.mark.skipif(
    sys.platform == "win32", reason="the C stream of Windows is out of reach; said so in recipe/pictures/stderr.py"
)
def test_broken_files_leave_the_console_clean_and_other_messages_pass(tmp_path):
    spoilt = bytearray(JPEG)
    spoilt[len(JPEG) // 2 : len(JPEG) // 2 + 200] = bytes(200)
    png = encoded(PILLOW, "PNG")
    broken = {
        "a": JPEG[:-2],
        "b": bytes(spoilt),
        "c": png[: len(png) // 2],
        "d": png[:500] + bytes(50) + png[550:],
        "e": b"",
        "f": b"text",
    }
    broken |= {
        "g": encoded(PILLOW, "TIFF")[:2000],
        "h": encoded(PILLOW, "GIF")[:1000],
        "i": cv2.imencode(".tiff", SCENE * 1.5)[1].tobytes(),
    }
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
    program = (
        "import sys, ctypes; from pathlib import Path; from recipe.pictures import decode\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try: decode.read(path)\n"
        "    except decode.UnreadablePicture: print(path.name)\n"
        "print('python speaks', file=sys.stderr)\n"
        "ctypes.CDLL(None).perror(b'c speaks')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(ran.stdout.split()) >= set("acdefghi")
    assert [line.split(":")[0] for line in ran.stderr.splitlines()] == ["python speaks", "c speaks"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_the_header_says_format_and_size(kind):
    for options in ({}, {"lossless": True}) if kind == "WEBP" else ({},):
        head = header(encoded(PILLOW, kind, **options))
        assert (head.format.upper(), head.width, head.height, head.whole) == (kind, 84, 60, True)
    alpha = header(encoded(Image.fromarray(np.dstack([SCENE, ALPHA])), "WEBP"))
    assert (alpha.width, alpha.height) == (84, 60)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 90))
def test_resize_short_reaches_the_side_and_keeps_the_aspect(height, width, short_side):
    image = scene(height, width)
    resized = decode.resize_short(image, short_side)
    assert min(resized.shape[:2]) == short_side
    assert (height >= width) == (resized.shape[0] >= resized.shape[1]) or resized.shape[0] == resized.shape[1]
    longest = min(max(height, width), decode.MAX_ASPECT * min(height, width)) * short_side / min(height, width)
    assert abs(max(resized.shape[:2]) - longest) <= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 80), st.floats(0.5, 1.0))
def test_prepare_gives_the_size_and_a_cached_short_side_changes_nothing(height, width, size, crop_pct):
    image = scene(height, width)
    prepared = decode.prepare(image, size, crop_pct)
    assert prepared.shape == (size, size, 3)
    cached = decode.resize_short(image, decode.evaluation_side(size, crop_pct))
    np.testing.assert_array_equal(decode.prepare(cached, size, crop_pct), prepared)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 60), st.tuples(*[st.integers(0, 255)] * 3))
def test_resizing_keeps_a_constant_colour(height, width, short_side, colour):
    image = np.full((height, width, 3), colour, np.uint8)
    resized = decode.resize_short(image, short_side)
    assert (resized == np.array(colour, np.uint8)).all()


def test_shrinking_averages_areas():
    checker = np.zeros((8, 8, 3), np.uint8)
    checker[::2, ::2] = checker[1::2, 1::2] = 200
    assert (decode.resize_short(checker, 4) == 100).all()


def test_limits_of_the_resize_rule():
    assert decode.resize_short(SCENE, 60) is SCENE
    assert decode.centre_crop(SCENE, 60).shape == (60, 60, 3)
    np.testing.assert_array_equal(decode.centre_crop(SCENE, 59), SCENE[:59, 12:71])
    strip = np.zeros((1, 5000, 3), np.uint8)
    assert decode.resize_short(strip, 100).shape == (100, 1600, 3)
    np.testing.assert_array_equal(decode.prepare(SCENE, 60), decode.centre_crop(SCENE, 60))


@pytest.mark.parametrize(
    "call",
    [
        lambda: decode.resize_short(SCENE, 0),
        lambda: decode.centre_crop(SCENE, 61),
        lambda: decode.centre_crop(SCENE, 0),
        lambda: decode.prepare(SCENE, 32, 0.0),
        lambda: decode.prepare(SCENE, 32, 1.2),
    ],
)
def test_impossible_sizes_are_refused(call):
    with pytest.raises(ValueError, match=r"refused|does not fit"):
        call()
