"""Every cell of the decode matrix, the profile that is not applied, and one picture for all who look at it."""

from __future__ import annotations

import ast
import io
import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ImageCms

from benchmarks import decode_matrix
from recipe.data.audit.facts import gather
from recipe.data.duplicates import THUMBNAIL, thumbnail
from recipe.pictures import decode
from recipe.pictures.cache import Pictures

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def found():
    return decode_matrix.tables()


def test_no_cell_differs_from_pillow(found):
    assert decode_matrix.above(found) == []
    cells = [cell for _, rows in found.values() for row in rows for cell in row[1:]]
    assert sum(cell != "-" for cell in cells) > 140
    assert cells.count("1") == 3  # CMYK in JPEG, in three forms


def test_the_document_shows_these_tables(found):
    text = (ROOT / "docs" / "decoding.md").read_text(encoding="utf-8")
    assert (
        decode_matrix.markdown(found) in text.partition(decode_matrix.MARKS[0])[2].partition(decode_matrix.MARKS[1])[0]
    )


def test_a_wrong_cell_is_named():
    found = {"T": (["mode", "PNG", "GIF"], [["RGB", "2", "-"], ["L", "refused", "1"]])}
    assert decode_matrix.above(found) == ["T: RGB, PNG: 2", "T: L, PNG: refused"]
    assert decode_matrix.outcome(decode_matrix.turned("PNG", 6), lambda data: decode.decode(data)[::-1]) != "0"


def wide_gamut() -> bytes:
    """A profile with the primaries of Display P3 and a gamma of 2.2. Source: ICC.1:2010, sections 7 and 10."""
    fixed = lambda *values: b"".join(struct.pack(">i", round(value * 65536)) for value in values)  # noqa: E731
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 3) + b"P3\0" + bytes(81),
        b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249),
        b"rXYZ": b"XYZ " + bytes(4) + fixed(0.5151, 0.2412, -0.0011),
        b"gXYZ": b"XYZ " + bytes(4) + fixed(0.2920, 0.6922, 0.0419),
        b"bXYZ": b"XYZ " + bytes(4) + fixed(0.1571, 0.0666, 0.7841),
        **{tag: b"curv" + bytes(4) + struct.pack(">IHH", 1, 0x0233, 0) for tag in (b"rTRC", b"gTRC", b"bTRC")},
    }
    directory, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        directory += tag + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data
    size = 128 + len(directory) + len(body)
    head = (
        struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
        + bytes(12)
        + b"acsp"
        + bytes(28)
    )
    return head + fixed(0.9642, 1.0, 0.8249) + bytes(48) + directory + body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_colour_profile_changes_no_pixel(kind):
    """The profile is a real one (it moves colours where it is applied), and stands in the file."""
    profile = wide_gamut()
    converted = ImageCms.profileToProfile(
        decode_matrix.scene(), ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    assert np.abs(np.asarray(converted).astype(int) - np.asarray(decode_matrix.scene())).max() > 20
    marked = decode_matrix.with_profile(kind, profile)
    np.testing.assert_array_equal(
        decode.decode(marked), decode.decode(decode_matrix.saved(decode_matrix.scene(), kind))
    )
    assert len(marked) > len(decode_matrix.saved(decode_matrix.scene(), kind)) + 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A picture of every format, mode and orientation that there is."""
    folder = tmp_path_factory.mktemp("pictures")
    for kind in decode_matrix.FORMATS:
        every = {mode: decode_matrix.in_mode(kind, mode, picture) for mode, picture in decode_matrix.modes().items()}
        every |= {f"turn{turn}": decode_matrix.turned(kind, turn) for turn in range(2, 9)}
        for name, encoded in every.items():
            if encoded:
                (folder / f"{kind}-{name}.jpg").write_bytes(encoded)
    return folder


def test_all_who_look_see_the_same_pixels(folder):
    """What training and validation (Pictures), prediction (read, then the short side) and the audit's tiles are made
    of.
    """
    paths = sorted(folder.iterdir())
    assert len(paths) > 80
    pictures = Pictures(paths, 60)
    _, thumbnails = gather(Pictures(paths, 60))
    for row, path in enumerate(paths):
        whole = decode.decode(path.read_bytes())
        np.testing.assert_array_equal(decode.read(path), whole)
        resized = decode.resize_short(whole, 60)
        np.testing.assert_array_equal(pictures[row], resized)
        np.testing.assert_array_equal(decode.prepare(pictures[row], 60), decode.prepare(whole, 60))
        np.testing.assert_array_equal(thumbnails[row], thumbnail(resized))
    assert thumbnails.shape == (len(paths), THUMBNAIL, THUMBNAIL, 3)
    assert cv2.resize(resized, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).any()


OPENS = re.compile(
    r"(imread|imdecode\w*|IMREAD\w*|Image\.open|read_image|decode_image|decode_jpeg|default_loader|ImageFolder|ImageFile)$"
)
ALLOWED = {"recipe/pictures/decode.py", "recipe/pictures/pillow.py"}


@pytest.mark.parametrize("start", ["recipe", "flyai_local", "main.py", "prediction.py", "path.py"])
def test_nothing_else_opens_a_picture(start):
    """The stand-in decodes none at all: it hands files to the submission, whose decoder alone judges them."""
    files = sorted((ROOT / start).rglob("*.py")) if (ROOT / start).is_dir() else [ROOT / start]
    opening = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and OPENS.search(ast.unparse(node)):
                opening.add(path.relative_to(ROOT).as_posix())
    own = {"recipe/commands/readme.py"}  # a photograph of a page, for the README: nothing that is learned from
    assert opening - own == ({"recipe/pictures/decode.py"} if start == "recipe" else set())
