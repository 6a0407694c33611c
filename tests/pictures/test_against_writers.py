"""What tifffile and Pillow write is read as it was meant: a generated matrix, counted, with no difference allowed.

The truth of a cell is the array that went into the file and the policy of docs/decoding.md, worked out here in whole
numbers; tifffile must read that array back, so a cell that its writer spoils fails by itself.
"""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from recipe.pictures import tiff
from recipe.pictures.decode import decode, upright
from recipe.pictures.errors import UnreadablePicture

HEIGHT, WIDTH = 37, 53  # no whole number of strips, tiles or bytes
DRAWN = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
CHANNELS = {  # colours, the values of ExtraSamples
    "grey": (1, ()),
    "white is zero": (1, ()),
    "grey and 0": (1, ("unspecified",)),
    "grey and 1": (1, ("assocalpha",)),
    "grey and 2": (1, ("unassalpha",)),
    "RGB": (3, ()),
    "RGB and 0": (3, ("unspecified",)),
    "RGB and 1": (3, ("assocalpha",)),
    "RGB and 2": (3, ("unassalpha",)),
    "palette": (1, ()),
}
PALETTE = np.random.default_rng(4).integers(0, 256, (3, 256), dtype=np.uint16) * 257


def samples(bits: int, channels: str) -> np.ndarray:
    """(h, w, n) as they are stored; multiplied by the alpha where the file says so."""
    colours, extra = CHANNELS[channels]
    drawn = DRAWN[:, :, [*range(colours), 3][: colours + len(extra)]]
    if channels.endswith("1"):
        drawn = np.minimum(drawn, drawn[:, :, -1:])
    if bits == 1:
        return drawn > 127
    return drawn.astype(np.uint16) * 257 if bits == 16 else drawn


def meant(stored: np.ndarray, channels: str) -> np.ndarray:
    """(h, w, 3) RGB of 0 to 255 by the policy: 16 bits through 257, alpha over white, an unspecified sample ignored."""
    scale = {"bool": (255, 1), "uint8": (1, 1), "uint16": (1, 257)}[stored.dtype.name]
    values = stored.astype(int) * scale[0] // scale[1]
    if channels == "palette":
        return PALETTE.T[values[:, :, 0]].astype(int) // 257
    colours, extra = CHANNELS[channels]
    shown, last = values[:, :, :colours], values[:, :, -1:]
    if channels == "white is zero":
        shown = 255 - shown
    if extra == ("assocalpha",):
        shown = shown + 255 - last
    if extra == ("unassalpha",):
        shown = (shown * last + 255 * (255 - last) + 127) // 255
    return np.broadcast_to(shown, (HEIGHT, WIDTH, 3))


def by_tifffile(
    stored: np.ndarray, channels: str, order: str, planes: str, tile: tuple[int, int] | None, packed: str | None
) -> bytes:
    photometric = "rgb" if channels.startswith("RGB") else "palette" if channels == "palette" else "minisblack"
    photometric = "miniswhite" if channels == "white is zero" else photometric
    stream, extra = io.BytesIO(), CHANNELS[channels][1]
    several = stored.shape[2] > 1
    data = stored if several else stored[:, :, 0]
    tifffile.imwrite(
        stream,
        data.transpose(2, 0, 1) if several and planes == "separate" else data,
        byteorder=order,
        photometric=photometric,
        planarconfig=planes if several else None,
        tile=tile,
        rowsperstrip=None if tile else 8,
        compression=packed,
        extrasamples=extra or None,
        colormap=PALETTE if channels == "palette" else None,
        metadata=None,
    )
    back = tifffile.imread(io.BytesIO(stream.getvalue()))
    assert np.array_equal(back.transpose(1, 2, 0) if several and planes == "separate" else back, data)
    return stream.getvalue()


def tiffs() -> Iterator[tuple[str, bytes, np.ndarray, int]]:
    """Name, file, what is meant, and by how much it may differ: premultiplied colours are divided by their alpha."""
    forms = itertools.product("<>", ("contig", "separate"), (None, (16, 16), (32, 48)), (None, "zlib"))
    for (bits, channels), form in itertools.product(itertools.product((1, 8, 16), CHANNELS), list(forms)):
        stored = samples(bits, channels)
        if (form[1] == "separate" and stored.shape[2] == 1) or (channels == "palette" and bits != 8):
            continue
        if bits == 1 and stored.shape[2] > 1:
            continue
        name = f"{bits} bits, {channels}, {form}"
        yield name, by_tifffile(stored, channels, *form), meant(stored, channels), int("and 1" in channels)


def by_pillow() -> Iterator[tuple[str, bytes, np.ndarray, int]]:
    """The compressions and modes that tifffile does not write, and PNG; of a lossy JPEG Pillow's pixels are meant."""
    pictures = {
        "1": Image.fromarray(samples(1, "grey")[:, :, 0]),
        "L": Image.fromarray(DRAWN[:, :, 0]),
        "LA": Image.fromarray(DRAWN[:, :, 2:]),
        "I;16": Image.fromarray(samples(16, "grey")[:, :, 0]),
        "RGB": Image.fromarray(DRAWN[:, :, :3]),
        "RGBA": Image.fromarray(DRAWN),
        "P": Image.fromarray(DRAWN[:, :, :3]).quantize(200),
    }
    kinds = [("TIFF", packed) for packed in ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate")] + [("PNG", None)]
    for (mode, picture), (kind, packed) in itertools.product(pictures.items(), kinds):
        stream = io.BytesIO()
        picture.save(stream, kind, **({"compression": packed} if packed else {}))
        wide = np.asarray(picture)[:, :, None] // 257 if mode == "I;16" else None
        shown = np.asarray(picture.convert("RGBA")).astype(int) if wide is None else None
        over = (
            (shown[:, :, :3] * shown[:, :, 3:] + 255 * (255 - shown[:, :, 3:]) + 127) // 255 if wide is None else wide
        )
        yield f"{kind} {packed} {mode}", stream.getvalue(), np.broadcast_to(over, (HEIGHT, WIDTH, 3)), 0
    for mode, form in itertools.product(("L", "RGB"), ({}, {"progressive": True}, {"quality": 100, "subsampling": 0})):
        stream = io.BytesIO()
        pictures[mode].save(stream, "JPEG", **form)
        yield f"JPEG {form} {mode}", stream.getvalue(), np.asarray(Image.open(stream).convert("RGB")).astype(int), 0


BY_DESIGN = (  # the sentences of recipe/pictures/header.py, and how many cells end in each
    ("further channel lies in a plane apart", 60),
    ("grey of 16 bits and a further channel", 36),
    ("grey that is multiplied by its alpha", 12),
    ("in its 16-bit values 0 is white", 12),
)


def outcome(encoded: bytes, expected: np.ndarray, tolerance: int) -> str:
    try:
        difference = int(np.abs(decode(encoded).astype(int) - expected).max())
    except UnreadablePicture as error:
        return next((sentence for sentence, _ in BY_DESIGN if sentence in str(error)), str(error))
    return "equal" if difference <= tolerance else f"differs by {difference}"


def counted(cells: Iterator[tuple[str, bytes, np.ndarray, int]]) -> Counter[str]:
    """How many cells end how; one that is neither equal nor refused by design stands there by its name."""
    known = {"equal", *(sentence for sentence, _ in BY_DESIGN)}
    ends = ((name, outcome(*cell)) for name, *cell in cells)
    return Counter(end if end in known else f"{name}: {end}" for name, end in ends)


def test_every_tiff_of_tifffile_is_equal_or_refused_by_design():
    assert counted(tiffs()) == Counter({"equal": 300, **dict(BY_DESIGN)})


def rare_tiffs() -> Iterator[tuple[str, bytes, np.ndarray, int]]:
    """Predictors, BigTIFF, a row a strip; and one channel more than there is a decoder for."""
    forms = (
        {"predictor": True, "compression": "zlib"},
        {"predictor": True, "compression": "zlib", "tile": (16, 16)},
        {"bigtiff": True},
        {"rowsperstrip": 1},
    )
    for order, bits, form in itertools.product("<>", (8, 16), forms):
        stream = io.BytesIO()
        tifffile.imwrite(stream, samples(bits, "RGB"), byteorder=order, photometric="rgb", metadata=None, **form)
        yield f"{order}{bits} {form}", stream.getvalue(), DRAWN[:, :, :3].astype(int), 0
    for bits in (8, 16):
        stream, five = io.BytesIO(), np.concatenate([samples(bits, "RGB and 2"), samples(bits, "grey")], axis=2)
        tifffile.imwrite(stream, five, photometric="rgb", extrasamples=("unspecified", "unassalpha"), metadata=None)
        yield f"five channels of {bits} bits", stream.getvalue(), DRAWN[:, :, :3].astype(int), 0


def test_rare_tiffs_are_equal_and_none_is_blamed_for_its_layout():
    ends = counted(rare_tiffs())
    assert ends.pop("equal") == 16
    assert len(ends) == 2 and all("layout is one that nothing here reads; convert it to PNG" in end for end in ends)


def test_every_picture_of_pillow_is_equal():
    assert counted(by_pillow()) == Counter({"equal": 41})


TURNS = (None, *(getattr(Image.Transpose, name) for name in (
    "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90"
)))  # fmt: skip
ROUND = [(order, kind, turn) for order in "<>" for kind in "HI" for turn in range(1, 9)]


def exif(order: str, kind: str, turn: int) -> bytes:
    value = struct.pack(order + kind, turn).ljust(4, b"\0")
    entry = struct.pack(order + "HHI", 0x0112, 3 if kind == "H" else 4, 1) + value
    return {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HIH", 42, 8, 1) + entry + bytes(4)


def xmp(said: str) -> bytes:
    head = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF><r:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    return f"{head}{said}</r:Description></r:RDF></x:xmpmeta>".encode()


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """The drawn PNG with these chunks after its header."""
    stream = io.BytesIO()
    Image.fromarray(DRAWN[:, :, :3]).save(stream, "PNG")
    framed = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
              for name, data in chunks)  # fmt: skip
    return stream.getvalue()[:33] + b"".join(framed) + stream.getvalue()[33:]


def saved(kind: str, **settings: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(DRAWN[:, :, :3]).save(stream, kind, **settings)
    return stream.getvalue()


def tagged(order: str, *tags: tuple[int, str, int, object]) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        DRAWN[:, :, :3],
        byteorder=order,
        photometric="rgb",
        metadata=None,
        extratags=[(*tag, True) for tag in tags],
    )
    return stream.getvalue()


def itxt(said: str) -> tuple[bytes, bytes]:
    return b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + xmp(said)


def placed() -> Iterator[tuple[str, bytes, int]]:
    """Where, the file, and how it is to be turned."""
    for order, kind, turn in ROUND:
        block, rest = exif(order, kind, turn), f" {order}{kind}{turn}"
        yield "TIFF tag" + rest, tagged(order, (274, kind, 1, turn)), turn
        yield "JPEG EXIF" + rest, saved("JPEG", exif=b"Exif\0\0" + block), turn
        yield "PNG eXIf" + rest, png((b"eXIf", block)), turn
        yield "PNG eXIf with the prefix" + rest, png((b"eXIf", b"Exif\0\0" + block)), turn
        yield "WebP EXIF" + rest, saved("WEBP", lossless=True, exif=block), turn
    forms = (' tiff:Orientation="{}">', "><tiff:Orientation>{}</tiff:Orientation>")
    for form, turn, other in itertools.product(forms, range(1, 9), (None, 1, 3)):
        said, shown = form.format(turn), turn if other is None else other
        block = exif("<", "H", other) if other else b""
        rest = f" XMP {turn}, EXIF {other}"
        yield "JPEG" + rest, saved("JPEG", xmp=xmp(said), **({"exif": b"Exif\0\0" + block} if other else {})), shown
        yield "PNG" + rest, png(itxt(said), *([(b"eXIf", block)] if other else [])), shown
        yield "WebP" + rest, saved("WEBP", lossless=True, xmp=xmp(said), exif=block), shown
        own = [(274, "H", 1, other)] if other else []
        yield "TIFF" + rest, tagged("<", *own, (700, "B", len(xmp(said)), xmp(said))), shown


def test_every_orientation_is_followed_wherever_it_stands():
    """And Pillow's own turning agrees in every cell."""
    lossy, cells, wrong = decode(saved("JPEG")), 0, []
    for name, encoded, turn in placed():
        picture = Image.fromarray(lossy if name.startswith("JPEG") else DRAWN[:, :, :3])
        expected = np.asarray(picture if turn == 1 else picture.transpose(TURNS[turn - 1]))
        pillow = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))).convert("RGB"))
        cells += 1
        if not np.array_equal(decode(encoded), expected):
            wrong.append(name)
        if not np.array_equal(pillow, expected):
            wrong.append(f"Pillow: {name}")
    assert (cells, wrong) == (5 * 32 + 4 * 48, [])


@pytest.mark.parametrize(
    "said", ["", ' tiff:Orientation="9">', ' tiff:Orientation="66">', ' tiff:Orientation="">', " tiff:Orientation"]
)
def test_xmp_that_states_nothing_valid_turns_nothing(said):
    assert np.array_equal(decode(png(itxt(said))), DRAWN[:, :, :3])


def separate(stored: np.ndarray, **more: object) -> bytes:
    stream = io.BytesIO()
    planes = stored.transpose(2, 0, 1)
    tifffile.imwrite(stream, planes, photometric="rgb", planarconfig="separate", metadata=None, **more)
    return stream.getvalue()


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_planes_of_16_bits_apart_are_turned_as_they_say(turn):
    stored = samples(16, "RGB")
    turned = decode(separate(stored, extratags=[(274, "H", 1, turn, True)]))
    assert np.array_equal(turned, upright((stored // 257).astype(np.uint8), turn))


def test_planes_whose_pieces_do_not_add_up_are_damaged():
    """What its lists claim is bounded by the file: pieces beyond it, too few, or of other bits give no picture."""
    whole = separate(samples(16, "RGB"), rowsperstrip=8)
    assert len(tiff.planes(whole)) == 3 and tiff.planes(whole[:100]) == []
    for tag, value in ((tiff.SAMPLES, 4), (tiff.BITS, 12), (tiff.STRIP_BYTES, 2**31 - 1)):
        at = next(at for at in range(8, len(whole), 2) if whole[at : at + 2] == struct.pack("<H", tag))
        kind, count, place = struct.unpack_from("<HII", whole, at + 2)
        place = at + 8 if count * {3: 2, 4: 4}[kind] <= 4 else place
        broken = bytearray(whole)
        struct.pack_into("<" + {3: "H", 4: "I"}[kind], broken, place, value & (2**16 - 1 if kind == 3 else 2**32 - 1))
        with pytest.raises(UnreadablePicture):
            decode(bytes(broken))
